"""The loops that ours are measured against: what one writes first, in the published order.

Float32, the default layout, the default Adam; the same modules and loss terms as ours, but every
picture is enlarged before its convolution and padded by torch.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.optim import Adam

from sparnet.config import Optimizer, TrainSparnet, TrainSparnetHd
from sparnet.models import enlarging, padding
from sparnet.training import losses


@contextmanager
def the_long_way() -> Iterator[None]:
    """Within, networks take no short cut: they compute as the published ones do."""
    with (
        patch.object(enlarging, "pays", return_value=False),
        patch.object(padding, "_WORTHWHILE", sys.maxsize),
    ):
        yield


class PlainSparnet:
    """SPARNet: forward, pixel loss, backward, update."""

    def __init__(self, generator: nn.Module, settings: TrainSparnet) -> None:
        self._generator = generator.train()
        self._adam = _adam(generator, settings.optimizer)
        self._weight = settings.pixel_weight

    def step(self, lr: Tensor, hr: Tensor) -> None:
        loss = self._weight * losses.pixel(self._generator(lr), hr)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()


class PlainSparnetHd:
    """SPARNetHD: every graph is kept, and the average restores each batch too, for display.

    The generator's backward pass also computes the discriminator's gradients, to no use.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        perceptual: nn.Module | None,
        settings: TrainSparnetHd,
    ) -> None:
        assert settings.ema_decay is not None
        self._generator = generator.train()
        self._discriminator = discriminator.train()
        self._perceptual = perceptual
        self._average = copy.deepcopy(generator).requires_grad_(False)
        self._decay = settings.ema_decay
        self._adam = _adam(generator, settings.optimizer)
        self._discriminator_adam = _adam(discriminator, settings.discriminator_optimizer)
        self._weights = settings.losses

    def step(self, lr: Tensor, hr: Tensor) -> Tensor:
        """One update of both; returns the average's restoration."""
        sr = self._generator(lr)
        with torch.no_grad():
            shown: Tensor = self._average(lr)
        self._update_discriminator(sr.detach(), hr)
        self._update_generator(sr, hr)
        self._update_average()
        return shown

    def _update_discriminator(self, sr: Tensor, hr: Tensor) -> None:
        loss = losses.hinge(self._discriminator(sr), self._discriminator(hr))
        self._discriminator_adam.zero_grad()
        loss.backward()
        self._discriminator_adam.step()

    def _update_generator(self, sr: Tensor, hr: Tensor) -> None:
        fake, real = self._discriminator(sr), self._discriminator(hr)
        loss = self._weights.pixel * losses.pixel(sr, hr)
        loss = loss + self._weights.feature_matching * losses.feature_matching(fake, real)
        loss = loss + self._weights.adversarial * losses.adversarial(fake)
        if self._perceptual is not None:
            features = self._perceptual(sr), self._perceptual(hr)
            loss = loss + self._weights.perceptual * losses.perceptual(*features)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        pairs = zip(self._average.parameters(), self._generator.parameters(), strict=True)
        for average, weight in pairs:
            average.mul_(self._decay).add_(weight, alpha=1 - self._decay)


def _adam(network: nn.Module, settings: Optimizer) -> Adam:
    return Adam(network.parameters(), settings.lr, (settings.betas[0], settings.betas[1]))
