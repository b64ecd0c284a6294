"""Train SPARNetHD: data/pairs -> models/sparnethd, reports/training/sparnethd.csv."""

from __future__ import annotations

import os
from pathlib import Path

from sparnet.config import Params
from sparnet.models import create, vgg
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.stages import common
from sparnet.stages.training import train
from sparnet.training.job import Job, Paths
from sparnet.training.objectives import Placement, SparnetHdObjective


def main(params: Params) -> None:
    settings = params.train_sparnethd
    size = params.prepare.sizes.sparnethd

    def build(placement: Placement) -> SparnetHdObjective:
        generator = create(settings.network.name, size=size, **settings.network.overrides())
        generator.checkpointing = settings.recompute
        discriminator = MultiScaleDiscriminator(**settings.discriminator.model_dump())
        perceptual = _perceptual() if settings.losses.perceptual > 0 else None
        return SparnetHdObjective(generator, discriminator, perceptual, settings, placement)

    train(
        Job(
            model="sparnethd",
            size=size,
            seed=params.seed,
            settings=settings,
            compute=params.compute,
            tracking=common.tracking_of(params),
            paths=Paths.below(Path(), "sparnethd"),
        ),
        build,
    )


def _perceptual() -> vgg.PerceptualFeatures:
    cache = os.environ.get("SPARNET_CACHE") or Path.home() / ".cache" / "sparnet"
    return vgg.PerceptualFeatures(vgg.fetch(cache))


if __name__ == "__main__":
    common.run(main)
