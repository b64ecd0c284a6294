"""From a picture to the square pictures of its faces, at the sizes that the models train on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sparnet.config import Framing, Prepare
from sparnet.data.shards import ShardReader
from sparnet.faces import alignment
from sparnet.faces.alignment import Box
from sparnet.faces.framing import MARGIN, Frame, ffhq, raised
from sparnet.images import Picture, encode_png, is_grey, read, resize, sharpness, square

_STATISTIC_DIGITS = 4  # beyond them, sums depend on the processor's vector width


@dataclass(frozen=True)
class Place:
    """A face in its picture: its box, and its five points (x, y in turn) where it was found."""

    box: Box
    points: tuple[float, ...] | None


@dataclass(frozen=True)
class Cut:
    """One face at one size, encoded; `row` holds its own columns of the manifest."""

    size: int
    png: bytes
    row: dict[str, Any]


@dataclass(frozen=True)
class Cutter:
    """Cuts faces from the pictures of a folder of shards; pickles to worker processes."""

    reader: ShardReader
    settings: Prepare

    def cut(self, work: tuple[str, str, Sequence[Place]]) -> list[list[Cut]]:
        """For the picture at (shard, member): for each of its faces its cuts, sizes ascending."""
        shard, member, faces = work
        picture = read(self.reader.read(shard, member))
        return [
            [
                _described(self._framed(picture, face, framing, size), size, picture)
                for size, framing in self.settings.framing_of_size().items()
            ]
            for face in faces
        ]

    def _framed(self, picture: Picture, face: Place, framing: Framing, size: int) -> Picture:
        frame = frame_of(framing, self.settings)
        if frame is None or face.points is None:
            # Bicubic, the filter by which the task defines its own pictures.
            return resize(square(picture), (size, size), "bicubic")
        if frame.kind == "ffhq":
            points = np.reshape(face.points, (-1, 2))
            return alignment.crop(picture, ffhq(points, size), size)
        height, width = picture.shape[:2]
        box = alignment.fitted(raised(face.box), frame.margin, width, height)
        return alignment.crop_square(picture, box, size)[0]


def frame_of(framing: Framing, settings: Prepare) -> Frame | None:
    """How faces are framed for a network that is trained on `framing`; None: not at all."""
    if framing == "whole" or settings.faces is None:
        return None
    return Frame(framing, settings.faces.margin or MARGIN)


def _described(pixels: Picture, size: int, source: Picture) -> Cut:
    mean, std = _mean_and_std(pixels)
    rounded = partial(round, ndigits=_STATISTIC_DIGITS)
    row = {
        "source_width": source.shape[1],
        "source_height": source.shape[0],
        "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "grey": is_grey(pixels),
        "mean": rounded(mean),
        "std": rounded(std),
        "sharpness": rounded(sharpness(pixels)),
    }
    return Cut(size, encode_png(pixels), row)


def _mean_and_std(pixels: Picture) -> tuple[float, float]:
    """Of all values, on the scale 0..255, from whole numbers."""
    values = pixels.astype(np.int64)
    total, squares = int(values.sum()), int((values * values).sum())
    return total / values.size, (values.size * squares - total**2) ** 0.5 / values.size
