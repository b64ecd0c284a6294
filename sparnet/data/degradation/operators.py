"""The steps of a degradation, each a pure function that leaves the picture where it is."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparnet import images
from sparnet.data.degradation import kernels
from sparnet.data.degradation.record import Record, Resample
from sparnet.images import Picture

Pixels = NDArray[np.float32]
"""HxWx3 in levels of 0..255, not rounded; a little outside after overshoot or noise."""

_OPENCV = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}


def blur(image: Picture, record: Record, scale: float) -> Pixels:
    """Blur by the record's kernel, its pixel quantities multiplied by `scale`."""
    width = (record.kernel or 1) * scale
    match record.blur:
        case "gaussian":
            return _gaussian(image, record, scale)
        case "average":
            return _separable(image, kernels.average(width))
        case "motion":
            return _filtered(image, kernels.motion(width, record.angle or 0.0))
        case "median":
            odd = 2 * math.floor(width / 2) + 1
            return cv2.medianBlur(image, odd).astype(np.float32)
        case _:
            return image.astype(np.float32)


def shrink(pixels: Pixels, size: tuple[int, int], resample: Resample) -> Pixels:
    """Resize to `size` = (width, height), edge on edge, pixel centres at half pixels."""
    height, width = pixels.shape[:2]
    if size == (width, height):
        return pixels
    if resample == "pillow-bicubic":
        return images.resize(to_picture(pixels), size).astype(np.float32)
    if resample == "nearest":
        return pixels[nearest(height, size[1])][:, nearest(width, size[0])]
    if resample == "area" and (size[0] > width or size[1] > height):
        resample = "linear"  # OpenCV's area filter moves a picture that it enlarges
    return np.asarray(cv2.resize(pixels, size, interpolation=_OPENCV[resample]), np.float32)


def nearest(source: int, count: int) -> NDArray[np.intp]:
    """The pixel, of `source` in a row, nearest to each of `count` evenly spaced centres.

    Where two are as near, left and right are taken in turn: the mean position is the true one.
    """
    twice = (
        2 * np.arange(count) + 1
    ) * source  # 2 * count times the centre, edges at whole numbers
    index, rest = np.divmod(twice, 2 * count)
    ties = np.flatnonzero(rest == 0)
    index[ties[::2]] -= 1
    return index


def add_noise(pixels: Pixels, sd: float, shared: bool, seed: int) -> Pixels:
    """Add Gaussian noise of deviation `sd` levels, the same in all channels where `shared`."""
    random = np.random.Generator(np.random.Philox(key=seed))
    shape = (*pixels.shape[:2], 1 if shared else pixels.shape[2])
    return pixels + np.float32(sd) * random.standard_normal(shape, dtype=np.float32)


def compress(image: Picture, quality: int) -> Picture:
    """Through JPEG of `quality` (1..100), chroma at half size, and back."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(stream, formats=("JPEG",)) as decoded:
        return np.array(decoded)


def grey(image: Picture) -> Picture:
    """Full-range BT.601 grey in all three channels."""
    return np.repeat(np.array(Image.fromarray(image).convert("L"))[..., None], 3, axis=2)


def to_picture(pixels: Pixels) -> Picture:
    """Round and clip to uint8."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _gaussian(image: Picture, record: Record, scale: float) -> Pixels:
    width = (record.kernel or 1) * scale
    sigma_x, sigma_y = (record.sigma_x or 0.0) * scale, (record.sigma_y or 0.0) * scale
    if sigma_x == sigma_y:
        return _separable(image, kernels.gaussian(width, sigma_x))
    kernel = kernels.turned_gaussian(width, sigma_x, sigma_y, record.angle or 0.0)
    return _filtered(image, kernel)


def _filtered(image: Picture, kernel: kernels.Kernel) -> Pixels:
    return np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel), np.float32)


def _separable(image: Picture, kernel: kernels.Kernel) -> Pixels:
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel), np.float32)
