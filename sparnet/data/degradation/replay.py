"""Replaying a record on a picture."""

from __future__ import annotations

from sparnet import images
from sparnet.data.degradation import operators
from sparnet.data.degradation.record import Record
from sparnet.images import Picture

SMALLEST_RATIO = 0.8
"""No low-resolution copy is larger than the picture by more than 1 / this."""


def low_size(image: Picture, record: Record) -> tuple[int, int]:
    """(width, height) of the low-resolution copy: whole numbers, at least 1, aspect kept."""
    height, width = image.shape[:2]
    side = min(width, height)
    ratio = record.ratio
    if record.frame is not None:
        ratio = max(record.ratio * side / record.frame, SMALLEST_RATIO)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def low(image: Picture, record: Record) -> Picture:
    """The low-resolution copy, uint8, of an HxWx3 picture: blur, shrink, noise, JPEG, grey.

    Pixel quantities are scaled by the picture's shorter side over `record.frame`.
    """
    scale = 1.0 if record.frame is None else min(image.shape[:2]) / record.frame
    blurred = operators.blur(image, record, scale)
    pixels = operators.shrink(blurred, low_size(image, record), record.resample)
    if record.noise_sd > 0:
        pixels = operators.add_noise(
            pixels, record.noise_sd, record.noise_shared, record.noise_seed
        )
    small = operators.to_picture(pixels)
    if record.jpeg_quality is not None:
        small = operators.compress(small, record.jpeg_quality)
    return operators.grey(small) if record.grey else small


def apply(image: Picture, record: Record) -> Picture:
    """The degraded picture at the size of `image`: `low`, enlarged by Pillow's bicubic."""
    return images.resize(low(image, record), (image.shape[1], image.shape[0]))


def target(image: Picture, record: Record) -> Picture:
    """What a restoration should give: `image`, or its grey copy where the record says so."""
    return operators.grey(image) if record.grey_target else image
