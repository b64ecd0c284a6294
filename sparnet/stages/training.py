"""What both training stages share: the job, its processes, the exit code of a stopped training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from sparnet import config, tracking
from sparnet.data.pairing import ModelName
from sparnet.errors import UserError
from sparnet.models import create
from sparnet.models.generator import Generator
from sparnet.stages import common
from sparnet.training import job, launcher
from sparnet.training.distributed import Launch
from sparnet.training.interruption import Interrupted
from sparnet.training.objectives import Objective
from sparnet.training.placement import Placement


def train(
    model: ModelName,
    settings: config.Training,
    params: config.Params,
    build: Callable[[Placement], Objective],
) -> None:
    """Train in `compute.processes` processes; those of torchrun are taken as they are.

    After SIGINT or SIGTERM say how to go on and exit with 130 or 143.
    """
    launch = Launch.read(os.environ)
    processes = params.compute.processes or max(1, torch.cuda.device_count())
    if launch is None and processes > 1:
        job.share_of(model, settings, processes)
        sys.exit(launcher.start(f"sparnet.stages.train_{model}", processes))
    work = job.Job(
        model=model,
        size=size_of(model, params),
        seed=params.seed,
        settings=settings,
        compute=params.compute,
        tracking=common.tracking_of(params),
        paths=job.Paths.below(Path(), model),
    )
    leads = launch is None or launch.rank == 0
    try:
        job.run(work, build, _tags(work), launch)
    except Interrupted as stop:
        if leads:
            print(
                f"train_{model}: {stop}; the state is saved, `dvc repro` goes on from there",
                file=sys.stderr,
            )
        sys.exit(stop.exit_code)
    except UserError:
        if leads:
            raise
        sys.exit(2)  # the leader found the same, and says so


def generator_of(model: ModelName, settings: config.Training, params: config.Params) -> Generator:
    """The network to train, with fresh weights from torch's global random numbers."""
    network = settings.network
    generator = create(network.name, size=size_of(model, params), **network.overrides())
    generator.checkpointing = settings.recompute
    return generator


def size_of(model: ModelName, params: config.Params) -> int:
    """The side of the pictures that the model trains on."""
    size: int = getattr(params.prepare.sizes, model)
    return size


def _tags(work: job.Job) -> dict[str, str]:
    tags = {
        "stage": f"train_{work.model}",
        "architecture": work.settings.network.name,
        "git_commit": tracking.git_commit(Path()),
    }
    if name := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = name
    return tags
