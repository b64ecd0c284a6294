"""Rendered faces in a temporary folder, and trainings of the real loop on them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks import machine, steps
from sparnet import config
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.data.pairing import ModelName, write_pairs
from sparnet.data.pairs import EpochSampler, PairDataset, fixed_pairs, loader
from sparnet.data.preparation import prepare
from sparnet.tracking import NullTracker
from sparnet.training import hardware
from sparnet.training.loop import Trained, train
from sparnet.training.objectives import Objective
from sparnet.training.placement import Batch, Placement
from sparnet.training.state import ResumeStore
from sparnet.training.validation import Validator

Watch = Callable[[Iterator[Batch]], Iterator[Batch]]
"""Passes batches on, and looks at the clock."""


@dataclass(frozen=True)
class Faces:
    """The pairs of one set of parameters, below `root`."""

    root: Path
    params: config.Params

    def settings(self, model: ModelName) -> steps.Settings:
        params = self.params
        return params.train_sparnet if model == "sparnet" else params.train_sparnethd

    def dataset(self, model: ModelName) -> PairDataset:
        augment = self.settings(model).augment
        return PairDataset(
            self.root / "pairs", self.root / "prepared", model, "train", augment, self.params.seed
        )

    def validator(self, model: ModelName, placement: Placement) -> Validator:
        settings = self.settings(model)
        pairs = fixed_pairs(
            self.root / "pairs", self.root / "prepared", model, "val", settings.validation_pictures
        )
        return Validator(pairs, placement, settings.batch_size, settings.strips)


@contextmanager
def faces(params: config.Params, people: int, side: int, workers: int = 2) -> Iterator[Faces]:
    """One picture of each of `people`, rendered at `side`, prepared and paired by the stages."""
    source = params.download.model_copy(
        update={
            "synthetic": config.SyntheticSource(people=people, pictures_per_person=1, size=side)
        }
    )
    with TemporaryDirectory() as folder:
        root = Path(folder)
        with redirect_stderr(io.StringIO()):
            pictures = sources.create(source, params.seed, workers)
            download(pictures, root / "raw", source.shard_size)
            state = root / "state"
            prepare(root / "raw", root / "prepared", params.prepare, params.seed, workers, state)
            pairs, sizes = root / "pairs", params.prepare.sizes
            write_pairs(root / "prepared", pairs, params.degrade, sizes, params.seed, workers)
        yield Faces(root, params)


def run(data: Faces, model: ModelName, count: int, workers: int, watch: Watch) -> Trained:
    """Train `count` steps on the CPU with the real loop, which takes its batches from `watch`."""
    settings = data.settings(model)
    device = torch.device("cpu")
    hardware.prepare(device, machine.THREADS)
    placement = steps.placement(settings, device)
    with TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        store = ResumeStore(Path(folder), {}, settings.keep_states)
        store.open()
        return train(
            model,
            _objective(data, model, placement),
            lambda start: watch(_batches(data, model, start, workers, placement)),
            data.validator(model, placement),
            settings,
            count,
            store,
            NullTracker(),
        )


def _objective(data: Faces, model: ModelName, placement: Placement) -> Objective:
    settings = data.settings(model)
    size: int = getattr(data.params.prepare.sizes, model)
    return steps.objective(steps.networks(settings, size), settings, placement)


def _batches(
    data: Faces, model: ModelName, start: int, workers: int, placement: Placement
) -> Iterator[Batch]:
    dataset = data.dataset(model)
    sampler = EpochSampler(len(dataset), data.settings(model).batch_size, data.params.seed, start)
    for sample in loader(dataset, sampler, workers):
        yield placement.batch(sample["lr"], sample["hr"])
