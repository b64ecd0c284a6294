"""Facts about a picture of a face, from its pixels alone: how sound it is, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from sparnet import images
from sparnet.data.inspection.blocks import blockiness
from sparnet.data.inspection.drawing import drawn
from sparnet.data.inspection.letterbox import letterbox
from sparnet.data.inspection.light import brightness, contrast, grey, saturation
from sparnet.data.inspection.overlay import watermark
from sparnet.data.inspection.spectrum import bandwidth
from sparnet.data.inspection.views import face_of, luma, middle, reduced
from sparnet.faces.alignment import Box
from sparnet.images import Picture

__all__ = ["Inspection", "inspect"]

_WHOLE_SIDE, _FACE_SIDE = 512, 256
_PIXELS_SIDE = 512
_DETAIL_SIZE = (images.DETAIL_SIDE, images.DETAIL_SIDE)
_DIGITS = 4


@dataclass(frozen=True)
class Inspection:
    """What the pixels of a picture say, rounded to 4 digits; each field by the function of its
    name in this package, which says how.

    Of the face, or of the middle of the picture where no face was looked for: brightness (mean
    luma, 16..235), contrast (its standard deviation), sharpness (detail at 64 pixels, about 0.005
    blurred and 0.05 sharp), saturation (0..1), drawn (0..1), bandwidth (0..1: the finest real
    detail beside the finest that the pixels can hold).
    Of the whole picture: grey (it has no colour), letterbox (share of the area in bars at the
    edges), blockiness (0..1: JPEG's grid), watermark (0..1: text laid over it).
    """

    brightness: float
    contrast: float
    sharpness: float
    saturation: float
    grey: bool
    drawn: float
    letterbox: float
    bandwidth: float
    blockiness: float
    watermark: float


def inspect(picture: Picture, face: Box | None = None) -> Inspection:
    """The facts about a picture, uint8 HxWx3; `face`: the found face's box, in its pixels.

    Large pictures are reduced first, or judged by the middle of the face and of the picture where
    single pixels count.
    """
    shown = face_of(picture, face)
    small, small_face = reduced(picture, _WHOLE_SIDE), reduced(shown, _FACE_SIDE)
    y = luma(small_face)
    return Inspection(
        brightness=_rounded(brightness(y)),
        contrast=_rounded(contrast(y)),
        sharpness=_rounded(images.detail(images.resize(small_face, _DETAIL_SIZE))),
        saturation=_rounded(saturation(small_face)),
        grey=grey(small),
        drawn=_rounded(drawn(small_face)),
        letterbox=_rounded(letterbox(small)),
        bandwidth=_rounded(bandwidth(luma(middle(shown, _PIXELS_SIDE)))),
        blockiness=_rounded(blockiness(luma(middle(picture, _PIXELS_SIDE)))),
        watermark=_rounded(watermark(small)),
    )


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
