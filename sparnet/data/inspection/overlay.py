"""Text and logos laid over a picture."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse.csgraph import connected_components

from sparnet import images
from sparnet.data.inspection.views import reduced
from sparnet.images import Picture

_GLYPHS_OF_CERTAINTY = 9
_LEAST_GLYPHS = 4
_MOST_MARKS = 250
_CONTRASTS = (12, 28)
_STROKE = 9
_TEXT_SIDE = 512

_REPEATED_SIDE = 192
_REPEATED_STROKE = 7
_REPEATED_CONTRAST = 24
_SURROUNDINGS = 25
_PEAK = 9
_NEAREST, _FARTHEST = 0.1, 0.6
_PEAK_OF_CERTAINTY = 0.64
_FAINT = 8.0


def watermark(picture: Picture) -> float:
    """How much a picture looks written over, 0..1; above 0.5 it hardly is chance.

    The greater of two signs. Level text: marks of thin strokes, lighter or darker than what is
    around them, alike in height and contrast, side by side on one line, a ninth for every one (in
    lines of four or more). A repeated pattern, also slanted: the peak of the autocorrelation of
    thin strokes, away from its centre. Opacity does not matter as long as strokes stand out by 12
    levels. Text of the scene, on a shirt or a poster, counts as well. Not seen: text over hair and
    other texture that runs into the letters, a single slanted or handwritten line, letters under 6
    pixels (512 for the picture's longer side at most), logos without strokes.
    """
    y = np.asarray(images.luma(reduced(picture, _TEXT_SIDE)), np.uint8)
    text = _glyphs(y) / _GLYPHS_OF_CERTAINTY
    repeated = _repetition(reduced(y, _REPEATED_SIDE)) / _PEAK_OF_CERTAINTY
    return float(min(1.0, max(text, repeated)))


def _strokes(y: NDArray[np.uint8], operation: int, width: int) -> NDArray[np.uint8]:
    """By how many levels what is thinner than `width` differs from its surroundings."""
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (width, width))
    return np.asarray(cv2.morphologyEx(y, operation, square), np.uint8)


def _glyphs(y: NDArray[np.uint8]) -> int:
    """Number of marks in lines of text: the most of light and dark ones, faint and strong ones."""
    most = 0
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = _strokes(y, operation, _STROKE)
        most = max(most, *(_in_lines(strokes, contrast) for contrast in _CONTRASTS))
    return most


def _in_lines(strokes: NDArray[np.uint8], contrast: int) -> int:
    """Number of connected marks, above `contrast`, that stand in lines."""
    mask = (strokes > contrast).astype(np.uint8)
    count, labels, table, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, area = table.T.astype(np.float64)
    like_letters = (height >= 6) & (height <= strokes.shape[0] / 4)
    like_letters &= (width >= 2) & (width <= 2.5 * height)
    like_letters &= (area >= 8) & (area >= width * height / 3)
    like_letters[0] = False  # the background
    marks = np.flatnonzero(like_letters)[:_MOST_MARKS]
    if len(marks) < _LEAST_GLYPHS:
        return 0
    sums = np.bincount(labels.ravel(), weights=strokes.ravel(), minlength=count)
    follows = _follows(
        left[marks],
        (left + width)[marks],
        (top + height)[marks],
        height[marks],
        sums[marks] / area[marks],
    )
    _, line = connected_components(follows, directed=False)
    lengths = np.bincount(line)
    return int(lengths[lengths >= _LEAST_GLYPHS].sum())


def _follows(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    bottom: NDArray[np.float64],
    height: NDArray[np.float64],
    strength: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether mark j stands right behind mark i, as the next letter of its line would; (i, j)."""
    gap = left[None] - right[:, None]
    low = np.minimum(height[None], height[:, None])
    near = (gap > -0.2 * low) & (gap < 0.8 * low) & (left[None] > left[:, None])
    level = np.abs(bottom[None] - bottom[:, None]) < 0.22 * low
    return near & level & _alike(height, 1.7) & _alike(strength, 1.5)


def _alike(values: NDArray[np.float64], factor: float) -> NDArray[np.bool_]:
    """Which pairs differ by less than `factor`."""
    return np.maximum(values[None], values[:, None]) < factor * np.minimum(
        values[None], values[:, None]
    )


def _repetition(y: NDArray[np.uint8]) -> float:
    """Height of the highest peak in the autocorrelation of the strokes, 0..1."""
    if min(y.shape) < _SURROUNDINGS:
        return 0.0
    return max(
        _peak(_strokes(y, operation, _REPEATED_STROKE))
        for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )


def _peak(strokes: NDArray[np.uint8]) -> float:
    limited = np.minimum(strokes, _REPEATED_CONTRAST).astype(np.float32)
    detail = limited - cv2.blur(limited, (_SURROUNDINGS, _SURROUNDINGS))
    variance = float(detail.var()) + _FAINT
    shape, overlap, looked_at = _lags(*detail.shape)
    spectrum = fft.rfft2(detail, shape)
    correlation = fft.irfft2(np.abs(spectrum) ** 2, shape) / (overlap * variance)
    sharp = correlation - cv2.blur(correlation, (_PEAK, _PEAK))
    return float(max(0.0, sharp[looked_at].max()))


@functools.lru_cache(maxsize=16)
def _lags(
    height: int, width: int
) -> tuple[tuple[int, int], NDArray[np.float32], NDArray[np.bool_]]:
    """Size of the transform; per lag the overlapping pixels, at least a fifth; which to look at."""
    shape = tuple(fft.next_fast_len(2 * side, real=True) for side in (height, width))
    down, across = (
        np.minimum(np.arange(size), size - np.arange(size)).astype(np.float32) for size in shape
    )
    down = down[:, None]
    overlap = np.maximum(height - down, 0) * np.maximum(width - across, 0)
    far = np.hypot(down, across) > _NEAREST * min(height, width)
    near = (down < _FARTHEST * height) & (across < _FARTHEST * width)
    return shape, np.maximum(overlap, height * width / 5), far & near
