"""Degradation of a face picture: parameters are drawn into a record, pure functions replay it.

Pixel quantities of a record are those of a picture of side `record.frame` (512); for other sides
they are scaled, so that a small picture looks like the large one, degraded and then shrunk.
Nothing here moves the picture: a degraded face stays where its original is.
"""

from sparnet.data.degradation.presets import PRESETS, draw
from sparnet.data.degradation.record import Record
from sparnet.data.degradation.replay import apply, low, target

__all__ = ["PRESETS", "Record", "apply", "draw", "low", "target"]
