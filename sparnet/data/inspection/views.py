"""What of a picture the measures look at."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet import images
from sparnet.faces.alignment import Box
from sparnet.images import Picture

_CENTRE = 0.8


def luma(picture: Picture) -> NDArray[np.float64]:
    """Luma of uint8 HxWx3, float64 HxW, 16..235."""
    return np.asarray(images.luma(picture, truncate=False), np.float64)


def reduced(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 HxWx3 or HxW, averaged down to a longer side of `side`; a smaller one as it is."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def face_of(picture: Picture, box: Box | None) -> Picture:
    """The pixels in `box`; without one the middle of the picture, where faces are, as a square."""
    height, width = picture.shape[:2]
    if box is None:
        side = max(1, round(_CENTRE * min(height, width)))
        return _window(picture, side, side)
    left, top, right, bottom = (round(edge) for edge in box)
    columns = slice(min(max(left, 0), width - 1), max(right, left + 1, 1))
    rows = slice(min(max(top, 0), height - 1), max(bottom, top + 1, 1))
    return picture[rows, columns]


def middle(picture: Picture, side: int) -> Picture:
    """At most `side` pixels each way of the picture's middle, unscaled."""
    height, width = picture.shape[:2]
    return _window(picture, min(width, side), min(height, side))


def _window(picture: Picture, width: int, height: int) -> Picture:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
