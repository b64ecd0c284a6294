"""Tileable unit-variance noise textures, built once a process and sampled by coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field: TypeAlias = NDArray[Any]

SIDE = 512


def sample(kind: str, u: Field, v: Field, footprint: float) -> Field:
    """Read texture `kind` at texel coordinates (u across, v down), wrapping at the edges.

    `footprint` is the number of texels a pixel covers; coarser copies of the texture are read
    where it exceeds one, so a small picture is the smooth version of a large one.
    """
    level = min(max(round(math.log2(max(footprint, 1e-6))), 0), 4)
    texture = _level(kind, level)
    side = texture.shape[0]
    scale = 1.0 / (1 << level)
    return cv2.remap(
        texture,
        _wrapped(u * scale, side),
        _wrapped(v * scale, side),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )


def _wrapped(texels: Field, side: int) -> Field:
    """Coordinates brought into 0..side: remap addresses texels with 16-bit integers."""
    return texels - side * np.floor(texels * (1.0 / side))


@lru_cache(maxsize=32)
def _level(kind: str, level: int) -> Field:
    if level == 0:
        return _BUILDERS[kind]()
    fine = _level(kind, level - 1)
    return 0.25 * (fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2])


def _white(key: int) -> NDArray[np.float64]:
    return np.random.Generator(np.random.Philox(key=key)).standard_normal((SIDE, SIDE))


def _unit(values: NDArray[np.float64]) -> Field:
    return ((values - values.mean()) / values.std()).astype(np.float32)


def _total(layers: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.sum(list(layers), axis=0)


def _blurred(key: int, down: float, across: float) -> NDArray[np.float64]:
    blurred = ndimage.gaussian_filter(_white(key), (down, across), mode="wrap")
    return blurred / blurred.std()


def _grain() -> Field:
    return _unit(_white(1))


def _pores() -> Field:
    """Fine skin: a band-passed grain over a weaker, coarser mottling."""
    fine = _blurred(2, 0.8, 0.8) - 0.8 * _blurred(2, 1.8, 1.8)
    return _unit(fine / fine.std() + 0.6 * _blurred(3, 3.5, 3.5))


def _cloud() -> Field:
    """Smooth fractal noise whose largest features span an eighth of the texture."""
    return _unit(_total(s / 40.0 * _blurred(10 + i, s, s) for i, s in enumerate((40, 20, 10, 5))))


def _strands() -> Field:
    """Noise drawn out along v: single hairs over locks."""
    layers = ((20, 45, 0.7, 0.8), (21, 60, 2.2, 0.8), (22, 80, 7.0, 0.9))
    return _unit(
        _total(weight * _blurred(key, down, across) for key, down, across, weight in layers)
    )


def _stubble() -> Field:
    """Short hairs lying along v, sharp-edged."""
    return _unit(np.tanh(1.5 * _blurred(30, 3.0, 0.8)) + 0.4 * _blurred(31, 9.0, 4.0))


def _curls() -> Field:
    """Small coils: thin bright loops over uneven tufts."""
    loops = [np.exp(-3.0 * np.abs(_blurred(40 + i, s, s))) for i, s in enumerate((2.2, 4.0))]
    return _unit(loops[0] + 1.2 * loops[1] + 0.25 * _blurred(45, 12, 12))


def _spots() -> Field:
    """Sparse round spots of uneven strength on a zero ground (not unit variance)."""
    peaks = np.clip(_blurred(50, 2.4, 2.4) - 1.35, 0, None)
    return np.clip(peaks * (1.0 + 0.5 * _blurred(51, 12, 12)), 0, 1.5).astype(np.float32)


_BUILDERS = {
    "grain": _grain,
    "pores": _pores,
    "cloud": _cloud,
    "strands": _strands,
    "stubble": _stubble,
    "curls": _curls,
    "spots": _spots,
}
