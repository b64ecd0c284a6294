"""Train SPARNet: data/pairs -> models/sparnet, reports/training/sparnet.csv."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.models import create
from sparnet.stages import common
from sparnet.stages.training import train
from sparnet.training.job import Job, Paths
from sparnet.training.objectives import Placement, SparnetObjective


def main(params: Params) -> None:
    settings = params.train_sparnet
    size = params.prepare.sizes.sparnet

    def build(placement: Placement) -> SparnetObjective:
        generator = create(settings.network.name, size=size, **settings.network.overrides())
        generator.checkpointing = settings.recompute
        return SparnetObjective(generator, settings, placement)

    train(
        Job(
            model="sparnet",
            size=size,
            seed=params.seed,
            settings=settings,
            compute=params.compute,
            tracking=common.tracking_of(params),
            paths=Paths.below(Path(), "sparnet"),
        ),
        build,
    )


if __name__ == "__main__":
    common.run(main)
