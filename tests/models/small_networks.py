"""Small networks and pictures, the same at every call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparnet.models import create
from sparnet.models.generator import Generator

SMALL = {
    "min_channels": 4,
    "max_channels": 8,
    "size": 16,
    "min_feature_size": 8,
    "residual_depth": 0,
    "bottleneck_size": 32,
    "attention_channels": 4,
}
"""Overrides that make any registered network small and quick: one halving, sides from 8."""


def small(name: str = "sparnet", **overrides: Any) -> Generator:
    """A small registered network, always the same, whose statistics are not the initial ones."""
    torch.manual_seed(0)
    network = create(name, **SMALL | overrides)
    with torch.no_grad():
        network(picture())
    return network


def picture(side: int = 32, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, side, side, generator=generator) * 2 - 1


def relative_error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())
