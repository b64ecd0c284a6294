"""The network behind the identity loss, from a file that the user brings."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from sparnet.errors import UserError


def existing(path: Path) -> Path:
    """`path` as it is; raises UserError where it is no file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file (train_sparnethd.losses.identity_network)")
    return path


def load(path: Path) -> nn.Module:
    """A frozen TorchScript module, N x 3 x S x S in [-1, 1] to embeddings N x D.

    Raises UserError where the file is missing or no such module.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(existing(path), map_location="cpu")
    except RuntimeError:
        raise UserError(f"{path}: not a TorchScript file; write it with torch.jit.save") from None
    for weight in module.parameters():
        weight.requires_grad_(False)
    return module.eval()
