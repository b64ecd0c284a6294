"""Bars of one colour at the edges of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparnet.data.inspection.views import reduced
from sparnet.images import Picture

_JUDGED_SIDE = 128
_TOLERANCE = 18
"""Levels a bar may vary by: JPEG rings at its inner edge."""

_STEP = 32
"""Levels that what lies behind a bar differs from it at least."""

_STRAY_SHARE = 0.05
_EDGE_SHARE = 0.4
_LEAST_BAR = 0.02


def letterbox(picture: Picture) -> float:
    """Share of the picture's area that lies in bars at its edges, 0..1; any colour.

    A bar is uniform from one edge of the picture to the other and ends in a straight line: right
    behind it a good part of the line has another colour. That spares a portrait before a plain
    background, whose uniform lines end at the few pixels of the hair. Bars thinner than 2 % of the
    side are not counted; turned bars, those of a rotated picture, are not seen.
    """
    rows = np.moveaxis(reduced(picture, _JUDGED_SIDE).astype(np.int16), 2, 0).copy()
    top, bottom = _bar(rows), _bar(rows[:, ::-1])
    height, width = rows.shape[1:]
    if top + bottom >= height:
        return 1.0
    columns = rows[:, top : height - bottom].transpose(0, 2, 1)
    left, right = _bar(columns), _bar(columns[:, ::-1])
    inner = (height - top - bottom) * max(0, width - left - right)
    return 1 - inner / (height * width)


def _bar(lines: NDArray[np.int16]) -> int:
    """Number of lines, from the first on, that make up a bar; 0 where there is none.

    lines: (3, n, pixels of a line).
    """
    count = lines.shape[1]
    least = max(2, round(_LEAST_BAR * count))
    colour = np.median(lines[:, 0], axis=1).astype(np.int16)
    difference = np.abs(lines - colour[:, None, None]).max(axis=0)
    varied = np.flatnonzero((difference > _TOLERANCE).mean(axis=1) > _STRAY_SHARE)
    if not len(varied):
        return count
    end = int(varied[0])
    if end < least:
        return 0
    behind = (difference[end : end + least] > _STEP).mean(axis=1)
    return end if behind.max() >= _EDGE_SHARE else 0
