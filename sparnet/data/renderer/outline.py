"""Ellipses stacked over height: the plain shape of a head or of its hair."""

from __future__ import annotations

import cv2
import numpy as np

from sparnet.data.renderer.frame import Field

_TOP, _BOTTOM, _STEPS = -16.0, 24.0, 800


class Curve:
    """A smooth function of height through control points, level beyond the outermost.

    Cubic pieces that never overshoot: slopes are harmonic means, zero at turning points
    (Fritsch and Butland, 1984).
    """

    def __init__(self, points: list[tuple[float, float]]) -> None:
        self._y, self._value = np.array(sorted(points)).T
        rise = np.diff(self._value) / np.diff(self._y)
        before, after = rise[:-1], rise[1:]
        turns = before * after <= 0.0
        inner = np.where(turns, 0.0, 2.0 * before * after / np.where(turns, 1.0, before + after))
        self._slope = np.concatenate([rise[:1], inner, rise[-1:]])

    def __call__(self, y: Field) -> Field:
        y = np.clip(y, self._y[0], self._y[-1])
        i = np.minimum(np.searchsorted(self._y, y, side="right"), len(self._y) - 1) - 1
        step = self._y[i + 1] - self._y[i]
        t = (y - self._y[i]) / step
        turned = 1.0 - t
        start = (1.0 + 2.0 * t) * self._value[i] + t * step * self._slope[i]
        end = (1.0 + 2.0 * turned) * self._value[i + 1] - turned * step * self._slope[i + 1]
        return (turned * turned * start + t * t * end).astype(np.float32)


class Outline:
    """Half-width and half-depth of the ellipse at each height, both squared, held as a table.

    Squares cross zero straight at the crown and at the chin, where the widths themselves end
    with an infinite slope.
    """

    def __init__(self, widths: list[tuple[float, float]], depths: list[tuple[float, float]]):
        rows = np.linspace(_TOP, _BOTTOM, _STEPS + 1)
        width2, depth2 = (
            Curve([(y, v * abs(v)) for y, v in points])(rows) for points in (widths, depths)
        )
        slope = np.gradient(depth2, rows).astype(np.float32)
        self._tables = [table[:, None] for table in (width2, depth2, slope)]

    def __call__(self, y: Field) -> tuple[Field, Field, Field]:
        """Squared half-width, squared half-depth and the latter's slope at heights (H, W)."""
        row = (y - _TOP) * (_STEPS / (_BOTTOM - _TOP))
        column = np.zeros_like(row)
        width2, depth2, slope = (
            cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for table in self._tables
        )
        return width2, depth2, slope
