"""A hash of tensors, which files carry so that an altered one is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor


def sha256(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Hex SHA-256 of `text` and of every name, type, shape and value; tensors on the CPU."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
