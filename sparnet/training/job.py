"""A whole training of one model: data, state and run opened, the loop, the outs written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import sparnet
from sparnet import config, files, tracking
from sparnet.data import manifest
from sparnet.data.pairing import ModelName
from sparnet.data.pairs import EpochSampler, PairDataset, fixed_pairs, loader
from sparnet.errors import UserError
from sparnet.models import checkpoint, devices
from sparnet.tracking import LAST_WEIGHTS_TAG, WEIGHTS_TAG, MlflowRun, NullTracker
from sparnet.training import distributed, embedding, hardware
from sparnet.training.distributed import Launch, World
from sparnet.training.interruption import Interrupted
from sparnet.training.loop import Trained, train
from sparnet.training.objectives import Objective
from sparnet.training.placement import Batch, Placement
from sparnet.training.state import ResumeStore
from sparnet.training.validation import Validator

_PACKAGE = Path(sparnet.__file__).parent
_CODE = [_PACKAGE / part for part in ("training", "models", "data", "images.py", "metrics.py")]


@dataclass(frozen=True)
class Paths:
    """Where a training of `model` reads and writes, below one root."""

    pairs: Path
    prepared: Path
    weights: Path
    report: Path
    state: Path

    @classmethod
    def below(cls, root: Path, model: ModelName) -> Paths:
        return cls(
            pairs=root / "data/pairs",
            prepared=root / "data/prepared",
            weights=root / "models" / model,
            report=root / f"reports/training/{model}.csv",
            state=root / f".state/train_{model}",
        )


@dataclass(frozen=True)
class Job:
    """What is trained, on what, for how long. `size` is the side of the pictures."""

    model: ModelName
    size: int
    seed: int
    settings: config.Training
    compute: config.Compute
    tracking: config.Tracking
    paths: Paths

    def described(self) -> dict[str, Any]:
        """Every parameter that the result depends on."""
        return {
            "model": self.model,
            "size": self.size,
            "seed": self.seed,
            "train": self.settings.model_dump(mode="json"),
        }

    def identity(self) -> dict[str, Any]:
        """All that a resumed training must have in common with the one that was stopped.

        Raises UserError where the network of the identity loss is missing.
        """
        return {
            **dict(tracking.flatten(self.described())),
            "torch": torch.__version__,
            "the code sha256": files.code_sha256(_CODE),
            **{f"{path} sha256": files.sha256(path) for path in self._inputs()},
        }

    def manifests(self) -> list[Path]:
        return [folder / manifest.NAME for folder in (self.paths.pairs, self.paths.prepared)]

    def _inputs(self) -> list[Path]:
        """Files that the result depends on: the manifests name all the others."""
        if isinstance(self.settings, config.TrainSparnetHd):
            losses = self.settings.losses
            if losses.identity > 0 and losses.identity_network is not None:
                return [*self.manifests(), embedding.existing(Path(losses.identity_network))]
        return self.manifests()


def run(
    job: Job, build: Callable[[Placement], Objective], tags: dict[str, str], launch: Launch | None
) -> None:
    """Train, or go on with a training that was stopped, and write weights and the report.

    `build` makes the networks, from torch's global random numbers; `launch` names this process
    among those of torchrun. Raises UserError and Interrupted as `loop.train` does, and UserError
    where the data does not fit the settings.
    """
    device = hardware.local(devices.named(job.compute.device), launch)
    hardware.prepare(device, job.compute.threads)
    with distributed.joined(launch, device) as world:
        placement = _placement(job, device, world)
        dataset, sampler = _data(job, world)
        store = _store(job, world)
        with _tracked(job, tags, store, world) as tracked:
            torch.manual_seed(job.seed)
            objective = build(placement)
            trained = train(
                f"train_{job.model}",
                objective,
                lambda start: _batches(dataset, sampler, start, job, placement),
                _validator(job, placement),
                job.settings,
                _steps(job.settings, sampler),
                store,
                tracked,
                world,
            )
            if isinstance(tracked, MlflowRun):
                _write(job, objective, trained, tracked)
        if world.leads:
            store.remove()


def _placement(job: Job, device: torch.device, world: World) -> Placement:
    norm = job.settings.network.norm or ("instance" if job.model == "sparnethd" else "batch")
    return Placement(
        device,
        devices.autocast_type(job.settings.precision, device),
        hardware.layout(device, norm),
        world,
    )


def _data(job: Job, world: World) -> tuple[PairDataset, EpochSampler]:
    settings = job.settings
    dataset = PairDataset(
        job.paths.pairs, job.paths.prepared, job.model, "train", settings.augment, job.seed
    )
    if settings.batch_size > len(dataset):
        raise UserError(
            f"train_{job.model}.batch_size is {settings.batch_size}, but the training split has "
            f"{len(dataset)} pictures; lower it or add data"
        )
    share = share_of(job.model, settings, world.size)
    sampler = EpochSampler(len(dataset), share, job.seed, rank=world.rank, world_size=world.size)
    return dataset, sampler


def share_of(model: ModelName, settings: config.Training, processes: int) -> int:
    """Pictures of an update that each process computes. UserError where they do not come out."""
    if settings.batch_size % (processes * settings.accumulate):
        raise UserError(
            f"train_{model}.batch_size is {settings.batch_size}: it must be a multiple of the "
            f"{processes} processes times accumulate ({settings.accumulate})"
        )
    return settings.batch_size // processes


def _batches(
    dataset: PairDataset, sampler: EpochSampler, start: int, job: Job, placement: Placement
) -> Iterator[Batch]:
    for sample in loader(dataset, sampler.starting_at(start), job.compute.workers):
        yield placement.batch(sample["lr"], sample["hr"])


def _steps(settings: config.Training, sampler: EpochSampler) -> int:
    if settings.steps is not None:
        return settings.steps
    assert settings.epochs is not None
    return sampler.steps(settings.epochs)


def _validator(job: Job, placement: Placement) -> Validator:
    settings, paths = job.settings, job.paths
    pairs = fixed_pairs(paths.pairs, paths.prepared, job.model, "val", settings.validation_pictures)
    return Validator(pairs, placement, settings.batch_size, settings.strips)


def _store(job: Job, world: World) -> ResumeStore:
    store = ResumeStore(job.paths.state, job.identity(), job.settings.keep_states)
    aside = store.open() if world.leads else None
    world.wait()
    if aside is not None:
        print(
            f"train_{job.model}: not going on with the training that was stopped, as "
            f"{aside.reason}; its state is now in {aside.folder}, training begins anew",
            file=sys.stderr,
        )
    return store


@contextmanager
def _tracked(
    job: Job, tags: dict[str, str], store: ResumeStore, world: World
) -> Iterator[MlflowRun | NullTracker]:
    """The leader's run, described; nothing for the other processes."""
    if not world.leads:
        yield NullTracker()
        return
    where = job.tracking
    with tracking.run(
        where.uri, where.experiment, job.model, tags, store.run_id, Interrupted
    ) as tracked:
        _describe(job, tracked, store)
        yield tracked


def _describe(job: Job, tracked: MlflowRun, store: ResumeStore) -> None:
    """Log what the run is, once: a resumed run has it already."""
    if store.run_id == tracked.run_id:
        return
    tracked.log_params({**job.described(), "compute": job.compute.model_dump(mode="json")})
    pairs, prepared = (files.sha256(path) for path in job.manifests())
    tracked.set_tags({"data_sha256": pairs, "prepared_sha256": prepared})
    tracked.log_dataset(f"{job.model}-pairs", pairs, str(job.paths.pairs), "training")
    store.record_run(tracked.run_id)


def _write(job: Job, objective: Objective, trained: Trained, tracked: MlflowRun) -> None:
    """Write last and best weights and the report, and tag the run with the weights' hashes."""
    history = trained.history
    network = objective.shipped()
    last, best = job.paths.weights / "last.safetensors", job.paths.weights / "best.safetensors"
    same = {"model": job.model, "frame": _frame(job)}
    checkpoint.save(network, last, same | {"step": history.step})
    network.load_state_dict(trained.best)
    checkpoint.save(
        network, best, same | {"step": history.best_step, "val/psnr": history.best_psnr}
    )
    history.write_csv(job.paths.report)
    tracked.log_artifact(job.paths.report)
    tracked.set_tags({WEIGHTS_TAG: files.sha256(best), LAST_WEIGHTS_TAG: files.sha256(last)})


def _frame(job: Job) -> dict[str, Any] | None:
    """How the faces of the training pictures were framed; photographs will be framed alike."""
    summary = json.loads((job.paths.prepared / manifest.SUMMARY).read_text())
    frame: dict[str, Any] | None = summary["frames"].get(str(job.size))
    return frame
