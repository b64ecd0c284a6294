"""A SPARNet that is small enough to run in tests, with fixed random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from sparnet import models
from sparnet.models import checkpoint

SMALL = {
    "size": 64,
    "min_channels": 8,
    "max_channels": 16,
    "residual_depth": 1,
    "bottleneck_size": 8,
    "attention_channels": 8,
}


def saved(folder: Path) -> Path:
    """Its weights file."""
    torch.manual_seed(0)
    path = folder / "small.safetensors"
    checkpoint.save(models.create("sparnet", **SMALL), path)
    return path
