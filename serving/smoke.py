"""The picture by which a served model is tried, and whether its answer is the right one."""

from __future__ import annotations

import numpy as np

from sparnet import images
from sparnet.errors import UserError

SIDE = 16

LEAST_PSNR = 40.0
"""In bfloat16 a network that has learnt a little stays above 58 dB; the same one, learnt from
another seed, is at 37."""


def picture() -> bytes:
    """A grey ramp as PNG, small enough to be taken as one face."""
    ramp = np.linspace(0, 255, SIDE).round().astype(np.uint8)
    return images.encode_png(
        np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (SIDE, SIDE, 3)))
    )


def matches(answer_png: bytes, golden_png: bytes) -> None:
    """Raises UserError, with the PSNR, where an answer is not the golden one, as far as a runtime
    may differ from another."""
    answer, golden = images.read(answer_png), images.read(golden_png)
    if answer.shape != golden.shape:
        raise UserError(
            f"the answer to the smoke picture has {answer.shape[1]}x{answer.shape[0]} pixels, "
            f"the golden one {golden.shape[1]}x{golden.shape[0]}; package the model again"
        )
    psnr = images.psnr(answer, golden, "float")
    if psnr < LEAST_PSNR:
        raise UserError(
            f"the answer to the smoke picture is {psnr:.1f} dB from the golden one, which is below "
            f"{LEAST_PSNR:g} dB; package the model again"
        )
