"""A SPARNet that is small enough to run in tests, with fixed random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sparnet import models
from sparnet.models import checkpoint
from sparnet.models.generator import Generator

SMALL = {
    "size": 64,
    "min_channels": 8,
    "max_channels": 16,
    "residual_depth": 1,
    "bottleneck_size": 8,
    "attention_channels": 8,
}


def network(seed: int = 0, **changes: Any) -> Generator:
    torch.manual_seed(seed)
    return models.create("sparnet", **SMALL | changes)


def written(model: Generator, folder: Path) -> Path:
    """Its weights file."""
    path = folder / "small.safetensors"
    checkpoint.save(model, path)
    return path


def saved(folder: Path) -> Path:
    """The weights file of a small SPARNet."""
    return written(network(), folder)
