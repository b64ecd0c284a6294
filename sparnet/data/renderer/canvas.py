"""The picture being painted, with the head coordinates and the light of every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.frame import Field, clamped
from sparnet.data.renderer.textures import sample


@dataclass(frozen=True)
class Canvas:
    """Linear light `rgb` (3, H, W), painted in place, over head coordinates x, y (cm).

    `light` (3, H, W) and `gloss` (H, W) are what falls on the skin there, `pixel` the cm a pixel
    spans, `offset` moves the noise so that no two pictures share it.
    """

    rgb: Field
    x: Field
    y: Field
    light: Field
    gloss: Field
    cover: Field
    pixel: float
    offset: tuple[float, float]

    def window(self, left: float, top: float, right: float, bottom: float) -> Canvas | None:
        """The part of the canvas that holds a box of head coordinates; None outside the picture."""
        step = max(self.x.shape[0] // 96, 1)
        x, y = self.x[::step, ::step], self.y[::step, ::step]
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        inside &= self.cover[::step, ::step] > 0
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows):
            return None
        a, b = max(int(rows[0]) - 1, 0) * step, (int(rows[-1]) + 2) * step
        c, d = max(int(columns[0]) - 1, 0) * step, (int(columns[-1]) + 2) * step
        return self.part(slice(a, b), slice(c, d))

    def part(self, rows: slice, columns: slice) -> Canvas:
        """Some rows and columns; what is painted there is painted on this canvas."""
        here = (..., rows, columns)
        return Canvas(
            self.rgb[here],
            self.x[here],
            self.y[here],
            self.light[here],
            self.gloss[here],
            self.cover[here],
            self.pixel,
            self.offset,
        )

    def closeup(self, paint: Callable[[Canvas], None]) -> None:
        """Paint at twice the side, and bring what changed back averaged down."""
        height, width = self.x.shape

        def doubled(plane: Field) -> Field:
            return cv2.resize(plane, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)

        before = np.stack([doubled(plane) for plane in self.rgb])
        close = Canvas(
            before.copy(),
            doubled(self.x),
            doubled(self.y),
            np.stack([doubled(plane) for plane in self.light]),
            doubled(self.gloss),
            doubled(self.cover),
            0.5 * self.pixel,
            self.offset,
        )
        paint(close)
        for channel, change in enumerate(close.rgb - before):
            self.rgb[channel] += cv2.resize(change, (width, height), interpolation=cv2.INTER_AREA)

    def noise(self, kind: str, u: Field, v: Field, per_cm: float) -> Field:
        """Texture at coordinates in cm, `per_cm` texels a cm."""
        shift_u, shift_v = self.offset
        return sample(kind, u * per_cm + shift_u, v * per_cm + shift_v, per_cm * self.pixel)

    def edge(self, distance: Field, soft: float = 0.0) -> Field:
        """Coverage of a shape from the signed distance (cm) to its outline, positive inside."""
        return clamped(distance * (1.0 / (self.pixel + soft)) + 0.5)

    def paint(self, albedo: Field | tuple[float, float, float], alpha: Field | float = 1.0) -> None:
        """Cover with a matt colour under the light that falls here."""
        alpha = alpha * self.cover
        for channel in range(3):
            change = self.light[channel] * albedo[channel]
            change -= self.rgb[channel]
            change *= alpha
            self.rgb[channel] += change

    def stain(self, factors: tuple[float, float, float], amount: Field) -> None:
        """Filter what is there: a factor a channel where `amount` is 1, nothing where it is 0."""
        amount = amount * self.cover
        for plane, factor in zip(self.rgb, factors, strict=True):
            kept = (factor - 1.0) * amount
            kept += 1.0
            plane *= kept

    def glow(self, strength: Field) -> None:
        """Add white light."""
        self.rgb[:] += strength * self.cover


def tinted(colour: tuple[float, float, float], tone: Field) -> Field:
    """A colour times a field, (3, H, W)."""
    return np.stack([tone * channel for channel in colour])


def region(mask: NDArray[np.bool_], side: int) -> tuple[slice, slice] | None:
    """Rows and columns that hold the mask, with a rim, of a picture of this side."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    scale = side / mask.shape[0]

    def reach(hits: NDArray[np.intp]) -> slice:
        start, stop = (int(hits[0]) - 1) * scale, (int(hits[-1]) + 2) * scale
        return slice(max(math.floor(start), 0), min(math.ceil(stop), side))

    return reach(rows), reach(columns)
