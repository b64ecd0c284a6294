"""The examples of an evaluation: which test faces are shown, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparnet.images import Picture
from sparnet.inference.pictures import face_strip, stack


@dataclass(frozen=True, eq=False)
class Example:
    """One test face: uint8 pictures, and its PSNR in dB before (bicubic) and after the network."""

    id: str
    lr: Picture
    bicubic: Picture
    output: Picture
    original: Picture
    psnr_before: float
    psnr_after: float


def spread(gains: Sequence[float], count: int) -> list[int]:
    """Indices of `count` pictures evenly spread from the smallest gain to the largest."""
    order = np.argsort(np.asarray(gains), kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[place]) for place in places]


def example_sheet(examples: Sequence[Example]) -> Picture:
    """A strip an example, below each other; captions above the first."""
    return stack(
        [
            face_strip(shown.lr, shown.bicubic, shown.output, shown.original, captions=row == 0)
            for row, shown in enumerate(examples)
        ]
    )
