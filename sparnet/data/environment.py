"""What the bytes of the data depend on, beside the code: the packages that see and resize."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

PACKAGES = ("dlib-bin", "ImageHash", "numpy", "opencv-python-headless", "pillow", "scipy")


def versions(*more: str) -> Mapping[str, str]:
    """Of PACKAGES and of `more`, by name; "missing" where one is not installed."""
    return {name: _version(name) for name in (*PACKAGES, *more)}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
