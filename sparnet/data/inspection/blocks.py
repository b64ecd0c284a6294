"""The grid that strong JPEG compression leaves."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_PERIOD = 8
_LEAST_SIDE = 4 * _PERIOD
_LEAST_STEP = 1.0


def blockiness(y: NDArray[np.float64]) -> float:
    """Strength of JPEG's 8x8 grid in a luma, 0..1: the lesser of rows and columns.

    The share of the grid's lines, pixel by pixel, that are seen: where the step from one block to
    the next is more than twice the steps inside them, and a level more. The grid is the one of the
    eight possible that is seen best, so that a crop which shifts it changes nothing; what is seen
    of the median one, by chance and texture, is taken off. (The idea of comparing steps on and off
    the grid: Wang, Sheikh and Bovik, ICIP 2002; of finding it: Fan and de Queiroz, IEEE TIP 2003.)
    A wreck that was resized afterwards has no grid of 8 pixels any more and is not seen.
    """
    if min(y.shape) < _LEAST_SIDE:
        return 0.0
    return min(_grid(y), _grid(np.ascontiguousarray(y.T)))


def _grid(y: NDArray[np.float64]) -> float:
    """How much of the best grid of vertical lines is seen."""
    steps = np.abs(np.diff(y, axis=1))
    around = cv2.blur(steps, (_PERIOD + 1, 1)) * (_PERIOD + 1)
    inside = (around - cv2.blur(steps, (3, 1)) * 3) / (_PERIOD - 2)
    seen = (steps > 2 * inside + _LEAST_STEP).mean(axis=0)
    phases = seen[: len(seen) // _PERIOD * _PERIOD].reshape(-1, _PERIOD).mean(axis=0)
    return float(phases.max() - np.median(phases))
