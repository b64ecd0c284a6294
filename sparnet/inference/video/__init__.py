"""Videos with their faces restored. `from sparnet.inference.video import restore`."""

from sparnet.inference.video.probing import UnreadableVideo
from sparnet.inference.video.restoring import Summary, restore
from sparnet.inference.video.writing import CONTAINERS, container, quality

__all__ = [
    "CONTAINERS",
    "Summary",
    "UnreadableVideo",
    "container",
    "quality",
    "restore",
]
