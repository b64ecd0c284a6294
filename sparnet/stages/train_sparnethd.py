"""Train SPARNetHD: data/pairs -> models/sparnethd, reports/training/sparnethd.csv."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from sparnet.config import HdLosses, Params
from sparnet.models import vgg
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.stages import common
from sparnet.stages.training import generator_of, train
from sparnet.training import embedding
from sparnet.training.hd_objective import SparnetHdObjective
from sparnet.training.placement import Placement


def main(params: Params) -> None:
    settings = params.train_sparnethd

    def build(placement: Placement) -> SparnetHdObjective:
        return SparnetHdObjective(
            generator_of("sparnethd", settings, params),
            MultiScaleDiscriminator(**settings.discriminator.model_dump()),
            settings,
            placement,
            _perceptual(settings.losses),
            _identity(settings.losses),
        )

    train("sparnethd", settings, params, build)


def _perceptual(losses: HdLosses) -> nn.Module | None:
    if losses.perceptual == 0:
        return None
    cache = os.environ.get("SPARNET_CACHE") or Path.home() / ".cache" / "sparnet"
    return vgg.PerceptualFeatures(vgg.fetch(cache))


def _identity(losses: HdLosses) -> nn.Module | None:
    if losses.identity == 0 or losses.identity_network is None:
        return None
    return embedding.load(Path(losses.identity_network))


if __name__ == "__main__":
    common.run(main)
