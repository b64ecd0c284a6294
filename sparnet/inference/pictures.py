"""What is shown of a restoration: a face beside its original, and where the network looks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.errors import UserError
from sparnet.images import Picture, resize, strip, to_tensor
from sparnet.models.generator import Generator

LABELS = ("low resolution", "bicubic", "output", "original")

_LEAST_SIDE = 128
_TILE_SIDE = 160
_GAP = 2


def face_strip(
    lr: Picture, bicubic: Picture, output: Picture, original: Picture, captions: bool = True
) -> Picture:
    """One face four times, side by side, with LABELS above where `captions` are wanted.

    All but `lr` have one size; small faces are enlarged by a whole factor, pixels visible.
    """
    return strip(_enlarged(lr, bicubic, output, original), LABELS if captions else None)


def face_square(lr: Picture, bicubic: Picture, output: Picture, original: Picture) -> Picture:
    """`face_strip` in two rows: it stays visible where pictures are shrunk to fit a square."""
    faces = _enlarged(lr, bicubic, output, original)
    return stack([strip(faces[:2], LABELS[:2]), strip(faces[2:], LABELS[2:])])


def stack(rows: Sequence[Picture]) -> Picture:
    """Pictures of one width below each other on white."""
    white = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    parts = [part for picture in rows for part in (picture, white)]
    return np.concatenate(parts[:-1])


def attention_sheet(generator: Generator, face: Picture) -> Picture:
    """A face and every attention map over it, with the units' names, in the order they run.

    `face` is uint8 SxSx3 at the generator's size. Blue is 0, where features are left out; red is
    1, where they pass whole. Raises UserError for a network without attention.
    """
    maps = _maps(generator, face)
    shown = resize(face, (_TILE_SIDE, _TILE_SIDE))
    tiles = [strip([shown], ["input"])]
    tiles += [strip([_over(shown, heat)], [name]) for name, heat in maps]
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    tiles += [np.full_like(tiles[0], 255)] * (rows * columns - len(tiles))
    return stack([strip(tiles[row * columns : (row + 1) * columns]) for row in range(rows)])


def _enlarged(lr: Picture, bicubic: Picture, output: Picture, original: Picture) -> list[Picture]:
    height, width = original.shape[:2]
    factor = math.ceil(_LEAST_SIDE / height)
    size = (factor * width, factor * height)
    return [resize(face, size, "nearest") for face in (lr, bicubic, output, original)]


def _maps(generator: Generator, face: Picture) -> list[tuple[str, NDArray[np.uint8]]]:
    """Every unit's name and its map of `face`, 0..255, in the map's own resolution."""
    if generator.config.attention == "none":
        raise UserError(f"the network {generator.config.name} has no attention to show")
    x = to_tensor(face).to(next(generator.parameters()).device)
    return [
        (name, heat_n1hw[0, 0].float().mul(255).round().byte().cpu().numpy())
        for name, heat_n1hw in generator.attention_maps(x)
    ]


def _over(face: Picture, heat: NDArray[np.uint8]) -> Picture:
    """A map over the grey face: blue is 0, red is 255."""
    heat = resize(heat, (face.shape[1], face.shape[0]))
    colours = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    grey = face.mean(axis=2, keepdims=True)
    return (0.45 * grey + 0.55 * colours).round().astype(np.uint8)
