"""Colours in linear light."""

from __future__ import annotations

Colour = tuple[float, float, float]


def linear(colour: Colour) -> Colour:
    """sRGB 0..255 to linear light 0..1."""

    def channel(value: float) -> float:
        value /= 255.0
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    return channel(colour[0]), channel(colour[1]), channel(colour[2])
