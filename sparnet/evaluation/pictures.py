"""The pictures of an evaluation: strips of fixed faces, attention sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from sparnet.images import Picture, resize, strip, to_tensor
from sparnet.models.generator import Generator

LABELS = ("low resolution", "bicubic", "output", "original")


def spread(gains: Sequence[float], count: int) -> list[int]:
    """Indices of `count` pictures evenly spread from the smallest gain to the largest."""
    order = np.argsort(np.asarray(gains), kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[place]) for place in places]


@dataclass(frozen=True, eq=False)
class Example:
    """One test face: uint8 pictures, and its PSNR in dB before (bicubic) and after the network."""

    id: str
    lr: Picture
    bicubic: Picture
    output: Picture
    original: Picture
    psnr_before: float
    psnr_after: float


def example_sheet(examples: Sequence[Example]) -> Picture:
    """A row an example: low resolution | bicubic | output | original; captions above the first."""
    rows: list[Picture] = []
    for example in examples:
        height, width = example.original.shape[:2]
        lr = resize(example.lr, (width, height), "nearest")
        shown = [lr, example.bicubic, example.output, example.original]
        rows.append(strip(shown, None if rows else LABELS))
    return stack(rows)


def stack(strips: Sequence[Picture], gap: int = 2) -> Picture:
    """Pictures of one width below each other on white."""
    white = np.full((gap, strips[0].shape[1], 3), 255, np.uint8)
    parts = [part for picture in strips for part in (picture, white)]
    return np.concatenate(parts[:-1])


def attention_sheet(generator: Generator, bicubic: Picture) -> Picture:
    """Every attention map, upsampled over the face, in the order of the network; eight a row."""
    side = bicubic.shape[0]
    with torch.inference_mode():
        maps = generator.attention_maps(to_tensor(bicubic))
    tiles = [strip([bicubic], ["input"])]
    for name, heat_n1hw in maps:
        heat = resize((heat_n1hw[0, 0].float().cpu().numpy() * 255).astype(np.uint8), (side, side))
        tiles.append(strip([_over(bicubic, heat)], [name]))
    columns = min(8, len(tiles))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [strip(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return stack(rows)


def _over(face: Picture, heat: np.ndarray) -> Picture:
    """A map over the grey face: blue where the network looks away, red where it looks."""
    colours = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    grey = np.repeat(face.mean(axis=2, keepdims=True), 3, axis=2)
    return (0.45 * grey + 0.55 * colours).round().astype(np.uint8)
