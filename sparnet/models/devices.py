"""The device that networks run on, by name, and how precisely they do."""

from __future__ import annotations

from typing import Literal

import torch

from sparnet.errors import UserError

Precision = Literal["float32", "bf16", "auto"]
"""auto: bf16 where the hardware has it."""


def named(name: str = "auto") -> torch.device:
    """The torch device of that name; "auto": CUDA, else Apple's, else the CPU.

    Raises UserError for an unknown name and for a device that this machine does not have.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, present in there.items() if present), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device {name!r}: unknown; use auto, cpu, cuda or mps") from None
    if not there.get(device.type, device.type == "cpu"):
        raise UserError(f"device {name!r}: not on this machine; use auto or cpu")
    return device


def autocast_type(precision: Precision, where: torch.device) -> torch.dtype | None:
    """The type that forward passes are computed in, None for plain float32."""
    if precision == "bf16" or (precision == "auto" and _has_bf16(where)):
        return torch.bfloat16
    return None


def _has_bf16(where: torch.device) -> bool:
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
