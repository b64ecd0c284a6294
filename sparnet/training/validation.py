"""Validation during training: a few fixed faces, measured and shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from sparnet.data.pairs import FixedPair
from sparnet.images import PSNR_OF_EQUALS, Picture, to_tensor, to_uint8
from sparnet.inference.pictures import attention_sheet, face_square
from sparnet.metrics import psnr, ssim
from sparnet.models.generator import Generator
from sparnet.training.placement import Placement


@dataclass(frozen=True)
class Validation:
    """Means over the fixed faces by the "official" protocol: psnr in dB, ssim in -1..1."""

    psnr: float
    ssim: float
    shown: list[Picture] = field(repr=False)
    """The restored pictures of the first faces, uint8 HxWx3."""


class Validator:
    """Measures a network on `pairs`, in batches; the first `strips` of them are shown."""

    def __init__(
        self, pairs: Sequence[FixedPair], placement: Placement, batch_size: int, strips: int
    ) -> None:
        self._pairs = pairs
        self._shown = pairs[:strips]
        self._placement = placement
        self._batch_size = batch_size
        self.bicubic_psnr = _mean([_psnr(pair.bicubic, pair.hr) for pair in pairs])

    def measure(self, network: Generator) -> Validation:
        """Restore and measure every face with `network`, which is in evaluation mode."""
        psnrs: list[float] = []
        ssims: list[float] = []
        shown: list[Picture] = []
        for pair, picture in zip(self._pairs, self._restored(network, self._pairs), strict=True):
            psnrs.append(_psnr(picture, pair.hr))
            ssims.append(ssim(picture, pair.hr))
            if len(shown) < len(self._shown):
                shown.append(picture)
        return Validation(_mean(psnrs), _mean(ssims), shown)

    def pictures(
        self, network: Generator, shown: Sequence[Picture] | None = None
    ) -> Iterator[tuple[str, Picture]]:
        """Key and picture: each shown face as it comes back, and where `network` looks in one.

        `shown`: what `measure` found; without it the shown faces, and only those, are restored.
        """
        if shown is None:
            shown = list(self._restored(network, self._shown))
        for index, (pair, restored) in enumerate(zip(self._shown, shown, strict=True)):
            yield f"val/face_{index:02d}", face_square(pair.lr, pair.bicubic, restored, pair.hr)
        if network.config.attention != "none":
            yield "val/attention", attention_sheet(network, self._shown[0].bicubic)

    @torch.inference_mode()
    def _restored(self, network: Generator, pairs: Sequence[FixedPair]) -> Iterator[Picture]:
        for start in range(0, len(pairs), self._batch_size):
            yield from to_uint8(network(self._input(pairs[start : start + self._batch_size])))

    def _input(self, pairs: Sequence[FixedPair]) -> torch.Tensor:
        return self._placement.tensor(to_tensor(np.stack([pair.bicubic for pair in pairs])))


def _psnr(restored: Picture, original: Picture) -> float:
    return min(psnr(restored, original), PSNR_OF_EQUALS)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
