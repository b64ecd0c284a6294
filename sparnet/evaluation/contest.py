"""One model against its baseline on the same test faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from sparnet.data.pairing import ModelName
from sparnet.data.pairs import FixedPair, FixedPairs
from sparnet.data.parallel import Workers, ordered_map
from sparnet.evaluation.evaluator import FaceMeasures, Restore, Row, measure, summarise
from sparnet.evaluation.examples import Example, spread
from sparnet.images import Picture, Protocol
from sparnet.inference.backends import TorchBackend
from sparnet.inference.pictures import attention_sheet
from sparnet.models.generator import Generator
from sparnet.progress import progress

BASELINES: dict[ModelName, str] = {"sparnet": "bicubic", "sparnethd": "degraded"}
"""What a model must beat: the input it gets, enlarged by bicubic."""


@dataclass(frozen=True, eq=False)
class Contest:
    """Rows of the baseline (before) and the model (after), picture by picture in one order.

    Pictures are not kept: the few that are shown are restored again.
    """

    model: ModelName
    generator: Generator
    restore: Restore
    pairs: FixedPairs
    before: Sequence[Row]
    after: Sequence[Row]
    shown: int

    @property
    def baseline(self) -> str:
        return BASELINES[self.model]

    def summaries(self) -> dict[str, dict[str, float]]:
        """Means of the baseline and of the model, as in `metrics.json`."""
        return summarise({self.baseline: self.before, self.model: self.after})

    @cached_property
    def examples(self) -> list[Example]:
        """`shown` test faces, evenly spread from the least gain in PSNR to the largest."""
        gains = [new.psnr - old.psnr for new, old in zip(self.after, self.before, strict=True)]
        return [self._example(place) for place in spread(gains, self.shown)]

    @cached_property
    def attention(self) -> Picture | None:
        """Attention maps over the first test face; None for a network without attention."""
        if self.generator.config.attention == "none":
            return None
        return attention_sheet(self.generator, self.pairs[0].bicubic)

    def _example(self, place: int) -> Example:
        pair = self.pairs[place]
        return Example(
            id=pair.id,
            lr=pair.lr,
            bicubic=pair.bicubic,
            output=self.restore(pair.bicubic[None])[0],
            original=pair.hr,
            psnr_before=self.before[place].psnr,
            psnr_after=self.after[place].psnr,
        )


def hold(
    model: ModelName,
    generator: Generator,
    pairs: FixedPairs,
    device: str,
    batch_size: int,
    protocol: Protocol,
    faces: bool = False,
    shown: int = 0,
    workers: int | Workers = 0,
) -> Contest:
    """Restore every pair with the generator, in batches, and measure it beside its baseline.

    `faces`: measure landmarks and identity too; `workers` measure (0: this process).
    """
    restore = TorchBackend(generator, device, batch_size)
    names = (BASELINES[model], model)
    rows = ordered_map(
        partial(_measured, names, protocol, faces), _restored(pairs, restore, batch_size), workers
    )
    before, after = zip(*progress(rows, len(pairs), f"evaluate {model}"), strict=True)
    return Contest(model, generator, restore, pairs, before, after, shown)


def _restored(
    pairs: FixedPairs, restore: Restore, batch_size: int
) -> Iterator[tuple[FixedPair, Picture]]:
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        yield from zip(batch, restore(np.stack([pair.bicubic for pair in batch])), strict=True)


def _measured(
    names: Sequence[str], protocol: Protocol, faces: bool, task: tuple[FixedPair, Picture]
) -> list[Row]:
    pair, output = task
    contenders = dict(zip(names, (pair.bicubic, output), strict=True))
    return measure(pair, contenders, protocol, _face_measures() if faces else None)


@cache
def _face_measures() -> FaceMeasures:
    """One a process: its networks are slow to load."""
    return FaceMeasures()
