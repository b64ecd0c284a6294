"""Giving a restored face the colours of the photograph."""

from __future__ import annotations

import cv2
import numpy as np

from sparnet.images import Picture

WIDTH = 1 / 16
"""Standard deviation of what counts as colour and not as detail, in sides of the face."""


def matched(restored: Picture, framed: Picture) -> Picture:
    """`restored` with the brightness and colours of `framed`, both uint8 SxSx3.

    Only what is coarser than WIDTH is taken over; detail stays the network's.
    """
    sigma = WIDTH * len(framed)
    before, after = framed.astype(np.float32), restored.astype(np.float32)
    coarse = cv2.GaussianBlur(before - after, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.clip(np.rint(after + coarse), 0, 255).astype(np.uint8)
