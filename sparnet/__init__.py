"""SPARNet and SPARNetHD: face super-resolution and blind face restoration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparnet.inference.restorer import Restorer

__version__ = "0.1.0"
__all__ = ["Restorer"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes seconds, and most commands do without."""
    if name == "Restorer":
        from sparnet.inference.restorer import Restorer

        return Restorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
