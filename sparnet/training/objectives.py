"""One optimisation step of each model, and everything that a step changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from sparnet import config
from sparnet.models import spectral
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.generator import Generator
from sparnet.training import losses
from sparnet.training.ema import Ema
from sparnet.training.optimization import Optimizer

Net = TypeVar("Net", bound=nn.Module)
Terms = dict[str, Tensor]
"""Detached scalars by name: loss terms and gradient norms."""


@dataclass(frozen=True)
class Batch:
    """Faces N x 3 x S x S in [-1, 1]: `lr` upsampled to full size, `hr` the target."""

    lr: Tensor
    hr: Tensor


@dataclass(frozen=True)
class Placement:
    """Where networks and batches lie, in which layout, and the type of the forward passes."""

    device: torch.device
    autocast: torch.dtype | None = None
    layout: torch.memory_format = torch.contiguous_format

    def network(self, module: Net) -> Net:
        """Move a network there."""
        return module.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]

    def batch(self, lr: Tensor, hr: Tensor) -> Batch:
        return Batch(self.tensor(lr), self.tensor(hr))

    def context(self) -> AbstractContextManager[None]:
        return torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None
        )

    def tensor(self, tensor: Tensor) -> Tensor:
        """A batch N x C x H x W there."""
        return tensor.to(self.device, memory_format=self.layout, non_blocking=True)


class Objective(Protocol):
    """What the training loop needs of a model."""

    def step(self, batch: Batch, rate_share: float) -> Terms:
        """One update with the scheduled share of the learning rates."""

    def shipped(self) -> Generator:
        """The network whose weights ship, in evaluation mode; valid until the next step."""

    def state_dict(self) -> dict[str, Tensor]:
        """Networks, averages and optimisers as flat tensors."""

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state that `state_dict` gave, all of it."""


class SparnetObjective:
    """SPARNet: the pixel loss alone."""

    def __init__(
        self, generator: Generator, settings: config.TrainSparnet, placement: Placement
    ) -> None:
        self.generator = placement.network(generator)
        self.optimizer = Optimizer(
            generator.named_parameters(), settings.optimizer, settings.clip_gradient_norm
        )
        self.ema = _average(generator, settings.ema_decay)
        self._weight = settings.pixel_weight
        self._placement = placement

    def step(self, batch: Batch, rate_share: float) -> Terms:
        self.optimizer.set_rate(rate_share)
        with self._placement.context():
            sr = self.generator.train()(batch.lr)
        pixel = losses.pixel(sr, batch.hr)
        norm = self.optimizer.step(self._weight * pixel)
        if self.ema:
            self.ema.update(self.generator)
        return {"pixel": pixel.detach(), "gradient_norm": norm}

    def shipped(self) -> Generator:
        return self.ema.network if self.ema else self.generator.eval()

    def state_dict(self) -> dict[str, Tensor]:
        return _joined(_parts(self.generator, self.ema), {"optimizer": self.optimizer})

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        _load(tensors, _parts(self.generator, self.ema), {"optimizer": self.optimizer})


class SparnetHdObjective:
    """SPARNetHD: pixel, perceptual, feature-matching and hinge adversarial losses.

    `perceptual` gives the features of a batch, a list; None where its weight is 0.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: MultiScaleDiscriminator,
        perceptual: nn.Module | None,
        settings: config.TrainSparnetHd,
        placement: Placement,
    ) -> None:
        self.generator = placement.network(generator)
        self.discriminator = placement.network(discriminator).train()
        self.perceptual = placement.network(perceptual) if perceptual else None
        for network in (generator, discriminator):
            spectral.warm_up(network, settings.spectral_warm_up)
        clip = settings.clip_gradient_norm
        self.optimizer = Optimizer(generator.named_parameters(), settings.optimizer, clip)
        self.discriminator_optimizer = Optimizer(
            discriminator.named_parameters(), settings.discriminator_optimizer, clip
        )
        self.ema = _average(generator, settings.ema_decay)
        self._weights = settings.losses
        self._warm_up = settings.spectral_warm_up
        self._placement = placement

    def step(self, batch: Batch, rate_share: float) -> Terms:
        self.optimizer.set_rate(rate_share)
        self.discriminator_optimizer.set_rate(rate_share)
        with self._placement.context():
            sr = self.generator.train()(batch.lr).float()
        terms = self._discriminator_step(sr.detach(), batch.hr)
        terms |= self._generator_step(sr, batch.hr)
        if self.ema:
            self.ema.update(self.generator)
        return terms

    def _discriminator_step(self, fake: Tensor, real: Tensor) -> Terms:
        with self._placement.context():
            judged_fake, judged_real = self._judge(fake, real)
        loss = losses.hinge(judged_fake, judged_real)
        norm = self.discriminator_optimizer.step(loss)
        return {"discriminator": loss.detach(), "discriminator_gradient_norm": norm}

    def _judge(
        self, fake: Tensor, real: Tensor
    ) -> tuple[list[losses.Judgement], list[losses.Judgement]]:
        """Judgements of both halves of one batch: one pass, one refinement of the spectra."""
        both = self.discriminator(torch.cat([fake, real]))
        count = len(fake)
        return (
            [(score[:count], [f[:count] for f in features]) for score, features in both],
            [(score[count:], [f[count:] for f in features]) for score, features in both],
        )

    def _generator_step(self, sr: Tensor, hr: Tensor) -> Terms:
        with _judging(self.discriminator), self._placement.context():
            judged_fake = self.discriminator(sr)
            with torch.no_grad():
                judged_real = self.discriminator(hr)
            terms = {
                "pixel": losses.pixel(sr, hr),
                "feature_matching": losses.feature_matching(judged_fake, judged_real),
                "adversarial": losses.adversarial(judged_fake),
            }
            if self.perceptual is not None:
                terms["perceptual"] = self._perceptual(sr, hr)
        loss = torch.stack(
            [getattr(self._weights, name) * term for name, term in terms.items()]
        ).sum()
        norm = self.optimizer.step(loss)
        return {
            **{name: term.detach() for name, term in terms.items()},
            "total": loss.detach(),
            "gradient_norm": norm,
        }

    def _perceptual(self, sr: Tensor, hr: Tensor) -> Tensor:
        assert self.perceptual is not None
        with torch.no_grad():
            target = self.perceptual(hr)
        return losses.perceptual(self.perceptual(sr), target)

    def shipped(self) -> Generator:
        if self.ema is None:
            return self.generator.eval()
        # The live singular vectors nearly fit the average; these refinements make them its own.
        self.ema.copy_buffers(self.generator)
        spectral.warm_up(self.ema.network, self._warm_up)
        return self.ema.network

    def state_dict(self) -> dict[str, Tensor]:
        return _joined(self._networks(), self._optimizers())

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        _load(tensors, self._networks(), self._optimizers())

    def _networks(self) -> dict[str, nn.Module]:
        return {**_parts(self.generator, self.ema), "discriminator": self.discriminator}

    def _optimizers(self) -> dict[str, Optimizer]:
        return {
            "optimizer": self.optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }


@contextmanager
def _judging(discriminator: MultiScaleDiscriminator) -> Iterator[None]:
    """Within, the discriminator only judges: no gradients for it, its spectra stay as they are."""
    discriminator.requires_grad_(False)
    try:
        with spectral.paused(discriminator):
            yield
    finally:
        discriminator.requires_grad_(True)


def _average(generator: Generator, decay: float | None) -> Ema[Generator] | None:
    return None if decay is None else Ema(generator, decay)


def _parts(generator: Generator, ema: Ema[Generator] | None) -> dict[str, nn.Module]:
    parts: dict[str, nn.Module] = {"generator": generator}
    if ema is not None:
        parts["average"] = ema.network
    return parts


def _joined(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> dict[str, Tensor]:
    parts = {name: network.state_dict() for name, network in networks.items()}
    parts |= {name: optimizer.tensors() for name, optimizer in optimizers.items()}
    return {
        f"{part}/{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def _load(
    tensors: Mapping[str, Tensor],
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
) -> None:
    for name, network in networks.items():
        network.load_state_dict(_part(tensors, name))
    for name, optimizer in optimizers.items():
        optimizer.load(_part(tensors, name))


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
