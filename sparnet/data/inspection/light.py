"""Light and colour of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparnet.data.inspection.views import reduced
from sparnet.images import Picture

_JUDGED_SIDE = 64
_COLOURED = 5.5


def brightness(y: NDArray[np.float64]) -> float:
    """Mean luma, 16..235."""
    return float(y.mean())


def contrast(y: NDArray[np.float64]) -> float:
    """Standard deviation of the luma, 0..110."""
    return float(y.std())


def saturation(picture: Picture) -> float:
    """Saturation of the HSV model, 0..1, each pixel weighted by its value: noise in the dark, of
    full saturation in that model, counts for as little as it is seen."""
    red, green, blue = np.moveaxis(reduced(picture, _JUDGED_SIDE), 2, 0)
    largest = np.maximum(np.maximum(red, green), blue).astype(np.int64).sum()
    smallest = np.minimum(np.minimum(red, green), blue).astype(np.int64).sum()
    return float(1 - smallest / largest) if largest else 0.0


def grey(picture: Picture) -> bool:
    """Whether a picture has no colour, as far as an eye can tell.

    Its colourfulness (Hasler and Suesstrunk, SPIE 2003; 0 for exact grey, 15 for what their viewers
    called slightly colourful) is below 5.5. It is taken of the picture reduced to 64 pixels, which
    averages away a sensor's noise; the coarse colours of a greyed picture that went through JPEG
    reach 4.5. Pictures toned sepia or blue begin at 6.5 and are not grey.
    """
    red, green, blue = np.moveaxis(reduced(picture, _JUDGED_SIDE).astype(np.float64), 2, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    offset = np.hypot(red_green.mean(), yellow_blue.mean())
    return bool(spread + 0.3 * offset < _COLOURED)
