"""Restoring pictures with a trained network. `from sparnet.inference import Restorer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparnet.inference.restorer import Restorer

__all__ = ["Restorer"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes seconds, and not every importer of this room restores."""
    if name == "Restorer":
        from sparnet.inference.restorer import Restorer

        return Restorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
