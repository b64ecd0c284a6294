"""What a result was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from sparnet.models import devices

THREADS = 1
"""Of torch on a CPU, in every benchmark."""


def described(device: torch.device) -> str:
    """One line: the device's name, its cores, whether trainings use bf16 there."""
    precision = "bf16" if uses_bf16(device) else "no bf16"
    return f"{_name(device)}, {precision}, torch {torch.__version__}"


def uses_bf16(device: torch.device) -> bool:
    """Whether a training with `precision: auto` computes in bf16 there."""
    return devices.autocast_type("auto", device) is torch.bfloat16


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple {platform.machine()} GPU"
    return f"{_processor()}, {THREADS} thread of {os.cpu_count()} cores"


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
