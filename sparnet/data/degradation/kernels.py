"""Blur kernels of any real width, centred: their centroid is the middle tap.

A window of width w covers the pixels it touches by the covered share, so an odd whole w is the
usual kernel of w taps, and an even one has w + 1 taps, the outer two halved, and does not shift.
All kernels are float32 and sum to 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float32]
Weights = NDArray[np.floating]


def average(width: float) -> Kernel:
    """The moving average over `width` pixels, as one axis of a separable kernel."""
    return _normalised(_coverage(width))


def gaussian(width: float, sigma: float) -> Kernel:
    """A Gaussian of deviation `sigma` cut to `width` pixels, as one axis of a separable kernel."""
    coverage = _coverage(width)
    return _normalised(coverage * _bell(_taps(coverage) ** 2, sigma))


def turned_gaussian(width: float, sigma_x: float, sigma_y: float, angle: float) -> Kernel:
    """A square 2D kernel: a Gaussian with deviations along axes turned by `angle` radians."""
    coverage = _coverage(width)
    y, x = np.meshgrid(_taps(coverage), _taps(coverage), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    bell = _bell(along**2, sigma_x) * _bell(across**2, sigma_y)
    return _normalised(np.outer(coverage, coverage) * bell)


def motion(length: float, angle: float) -> Kernel:
    """A square 2D kernel: a straight line of `length` pixels through the middle."""
    points = max(1, math.ceil(length))
    steps = np.arange(points, dtype=np.float64) * (length / points)
    steps -= steps.mean()
    half = math.ceil(length / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    _splat(kernel, half + steps * math.sin(angle), half + steps * math.cos(angle))
    return _normalised(kernel + kernel[::-1, ::-1])


def _coverage(width: float) -> Weights:
    """Share of each pixel inside a centred window, an odd number of pixels long."""
    half = max(0, math.ceil(width / 2 - 0.5))
    distance = np.abs(np.arange(-half, half + 1))
    return np.clip(width / 2 + 0.5 - distance, 0, 1) if half else np.ones(1)


def _taps(coverage: Weights) -> Weights:
    half = len(coverage) // 2
    return np.arange(-half, half + 1, dtype=np.float64)


def _bell(squared: Weights, sigma: float) -> Weights:
    return np.exp(-0.5 * squared / max(sigma, 1e-3) ** 2)


def _splat(kernel: Weights, y: Weights, x: Weights) -> None:
    """Add a point of weight 1 at each (y, x), shared out bilinearly among its four pixels."""
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = y - top, x - left
    for row, row_share in ((top, 1 - down), (top + 1, down)):
        for column, share in ((left, 1 - right), (left + 1, right)):
            inside = row_share * share > 0
            np.add.at(kernel, (row[inside], column[inside]), (row_share * share)[inside])


def _normalised(kernel: Weights) -> Kernel:
    return (kernel / kernel.sum()).astype(np.float32)
