"""SPARNet and SPARNetHD as modules: their blocks, registry, weights files and loss networks."""

from sparnet.models.registry import create, names

__all__ = ["create", "names"]
