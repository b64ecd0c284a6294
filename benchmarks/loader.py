"""The training data alone, a core; and how long a training waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice

import cv2

from benchmarks import recipes, trainings
from benchmarks.options import Options
from benchmarks.timing import median_seconds
from benchmarks.trainings import Faces
from sparnet import config
from sparnet.data.pairing import ModelName
from sparnet.data.pairs import EpochSampler, loader
from sparnet.training.placement import Batch

MODELS: tuple[ModelName, ...] = ("sparnet", "sparnethd")
PEOPLE = 24
HELD_OUT = {"val": 0.25, "test": 0.25}
WORKERS = 1
"""Processes that prepare batches while the training computes."""


def run(options: Options) -> None:
    if options.quick:
        with trainings.faces(recipes.tiny(), PEOPLE, 64, workers=0) as data:
            _report(data, data, batches=1, count=4)
        return
    with (
        trainings.faces(_published(), PEOPLE, 512) as published,
        trainings.faces(recipes.parameters("quick", prepare=HELD_OUT), PEOPLE, 128) as quick_start,
    ):
        _report(published, quick_start, batches=5, count=60)


def _report(published: Faces, quick_start: Faces, batches: int, count: int) -> None:
    for model in MODELS:
        _alone(published, model, batches)
    for model in MODELS:
        _waiting(quick_start, model, count)


def _published() -> config.Params:
    """The published recipe on rendered faces, enough of which are held out."""
    return recipes.parameters(
        "paper",
        prepare=HELD_OUT,
        download={
            "source": "synthetic",
            "synthetic": {"people": 1, "pictures_per_person": 1, "size": 512},
        },
    )


def _alone(data: Faces, model: ModelName, batches: int) -> None:
    """Batches of four in this process, one thread."""
    cv2.setNumThreads(0)
    dataset = data.dataset(model)
    sampler = EpochSampler(len(dataset), 4, data.params.seed)
    stream = iter(loader(dataset, sampler, workers=0))
    rate = 4 * batches / median_seconds(partial(_take, stream, batches))
    preset = getattr(data.params.degrade, model).preset
    size = getattr(data.params.prepare.sizes, model)
    print(f"load, {model}, {preset}, {size}: {rate:.1f} images/s a core")


def _take(stream: Iterator[object], batches: int) -> None:
    for _ in islice(stream, batches):
        pass


def _waiting(data: Faces, model: ModelName, count: int) -> None:
    """The share of a training that is spent waiting, from its first batch on."""
    watch = _Watch()
    trainings.run(data, model, count, WORKERS, watch)
    share = watch.waited / watch.whole
    print(f"wait, {model} of the quick start, {WORKERS} worker: {share:.1%} of the training")


class _Watch:
    """Passes batches on; seconds waited for them, and seconds from the first to the last."""

    def __init__(self) -> None:
        self.waited = 0.0
        self.whole = 0.0

    def __call__(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        yield next(stream)  # has waited for the workers to start
        began = asked = time.perf_counter()
        for batch in stream:
            came = time.perf_counter()
            self.waited += came - asked
            self.whole = came - began
            yield batch
            asked = time.perf_counter()
