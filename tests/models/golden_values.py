"""Golden values of the released code, translated into our names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

FIELDS = {
    "min_ch": "min_channels",
    "max_ch": "max_channels",
    "in_size": "size",
    "min_feat_size": "min_feature_size",
    "res_depth": "residual_depth",
    "norm_type": "norm",
    "att_name": "attention",
    "bottleneck_size": "bottleneck_size",
    "base_ch": "base_channels",
    "n_layers": "layers",
    "num_D": "scales",
}
VALUES = {"bn": "batch", "in": "instance", "spar": "2d", "spar3d": "3d"}


@dataclass(frozen=True)
class Golden:
    """What the released code computed with one set of weights."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]


def translated(config: dict[str, Any]) -> dict[str, Any]:
    """The released code's config in our names and values; in_size and out_size are one size."""
    return {
        FIELDS[key]: VALUES.get(value, value) for key, value in config.items() if key != "out_size"
    }


def read_golden(folder: Path, name: str) -> Golden:
    described = json.loads((folder / f"{name}.json").read_text())
    return Golden(
        translated(described["config"]) | {"spectral_norm": described["spectral_norm"]},
        torch.load(folder / f"{name}.pth", weights_only=True),
        load_file(folder / f"{name}.io.safetensors"),
    )
