"""The device that networks run on, by name."""

from __future__ import annotations

import torch

from sparnet.errors import UserError


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
