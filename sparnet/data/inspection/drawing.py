"""Whether a picture is drawn rather than photographed."""

from __future__ import annotations

import math

import numpy as np

from sparnet.data.inspection.views import luma, reduced
from sparnet.images import Picture

_JUDGED_SIDE = 128
_EDGE, _HARD_EDGE = 4, 24
_COMMONEST = 10
_STILL, _SOFT, _FEW, _BIAS = -13.35, -19.27, 6.39, 17.43
"""A logistic regression between photographs and drawings of two kinds: vector drawings in a dozen
styles, and photographs turned into cartoons."""


def drawn(picture: Picture) -> float:
    """How much a picture looks drawn, 0..1; photographs are below 0.2, but for one in fifty.

    Drawings are made of flat areas in few shades between hard outlines. So: how small the median
    step between neighbouring pixels is beside the mean one, how few of the edges are soft, and what
    part of the pixels has one of the ten commonest levels, all at 128 pixels. Cartoons, comics and
    vector drawings are seen; paintings, pencil sketches, masks, dolls and rendered heads, shaded
    as photographs are, are not.
    """
    y = luma(reduced(picture, _JUDGED_SIDE))
    if min(y.shape) < 2 or not np.ptp(y):
        return 1.0
    steps = np.hypot(np.diff(y, axis=1)[:-1], np.diff(y, axis=0)[:, :-1])
    edges = steps > _EDGE
    soft = (edges & (steps < _HARD_EDGE)).sum() / max(1, edges.sum())
    still = np.median(steps) / steps.mean()
    levels = np.sort(np.bincount(y.round().astype(np.int64).ravel()))
    few = levels[-_COMMONEST:].sum() / y.size
    return 1 / (1 + math.exp(-(_STILL * still + _SOFT * soft + _FEW * few + _BIAS)))
