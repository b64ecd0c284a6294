"""The picture by which a served model is tried."""

from __future__ import annotations

import numpy as np

from sparnet import images

SIDE = 16


def picture() -> bytes:
    """A grey ramp as PNG, small enough to be taken as one face."""
    ramp = np.linspace(0, 255, SIDE).round().astype(np.uint8)
    return images.encode_png(
        np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (SIDE, SIDE, 3)))
    )
