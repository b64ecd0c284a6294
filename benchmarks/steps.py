"""One step of a training, as a call: by the plain loop, and by ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.plain import PlainSparnet, PlainSparnetHd
from sparnet import models
from sparnet.config import TrainSparnet, TrainSparnetHd
from sparnet.models import devices
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.generator import Generator
from sparnet.models.vgg import PerceptualFeatures
from sparnet.training import hardware
from sparnet.training.hd_objective import SparnetHdObjective
from sparnet.training.objectives import Objective, SparnetObjective
from sparnet.training.placement import Placement

Settings = TrainSparnet | TrainSparnetHd
Step = Callable[[Tensor, Tensor], object]
"""An update with `lr` and `hr`, N x 3 x S x S in [-1, 1]."""


@dataclass(frozen=True)
class Networks:
    """What a training holds; SPARNet has the generator alone."""

    generator: Generator
    discriminator: MultiScaleDiscriminator | None = None
    perceptual: nn.Module | None = None
    identity: nn.Module | None = None

    def parts(self) -> list[nn.Module]:
        every = (self.generator, self.discriminator, self.perceptual, self.identity)
        return [part for part in every if part is not None]


def networks(settings: Settings, size: int, seed: int = 0) -> Networks:
    """Fresh ones for pictures of `size`; the perceptual loss gets random weights."""
    torch.manual_seed(seed)
    generator = models.create(settings.network.name, size=size, **settings.network.overrides())
    if isinstance(settings, TrainSparnet):
        return Networks(generator)
    discriminator = MultiScaleDiscriminator(**settings.discriminator.model_dump())
    if settings.losses.perceptual == 0:
        return Networks(generator, discriminator)
    perceptual = PerceptualFeatures(weights_path=None, random_weights=True)
    return Networks(generator, discriminator, perceptual)


def placement(settings: Settings, device: torch.device) -> Placement:
    """Where and how trainings of this project compute on `device`."""
    norm = "instance" if isinstance(settings, TrainSparnetHd) else "batch"
    return Placement(
        device,
        devices.autocast_type(settings.precision, device),
        hardware.layout(device, settings.network.norm or norm),
    )


def plain(nets: Networks, settings: Settings) -> Step:
    """A step of the plain loop, on the device where the networks are."""
    if isinstance(settings, TrainSparnet):
        return PlainSparnet(nets.generator, settings).step
    assert nets.discriminator is not None
    return PlainSparnetHd(nets.generator, nets.discriminator, nets.perceptual, settings).step


def ours(nets: Networks, settings: Settings, where: Placement) -> Step:
    """A step of this project's objective."""
    trained = objective(nets, settings, where)
    return lambda lr, hr: trained.step(where.batch(lr, hr), 1.0)


def objective(nets: Networks, settings: Settings, where: Placement) -> Objective:
    """What is stepped: networks, average and optimisers of a training."""
    nets.generator.checkpointing = settings.recompute
    if isinstance(settings, TrainSparnet):
        return SparnetObjective(nets.generator, settings, where)
    assert nets.discriminator is not None
    return SparnetHdObjective(
        nets.generator, nets.discriminator, settings, where, nets.perceptual, nets.identity
    )
