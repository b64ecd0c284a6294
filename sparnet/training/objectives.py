"""One optimisation step, and everything that it changes: what both models share, and SPARNet's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from sparnet import config
from sparnet.models import spectral
from sparnet.models.generator import Generator
from sparnet.training import losses, parts
from sparnet.training.distributed import apart
from sparnet.training.ema import Ema
from sparnet.training.optimization import Optimizer
from sparnet.training.placement import Batch, Placement

Terms = dict[str, Tensor]
"""Detached scalars by name: loss terms and gradient norms."""


class Objective(ABC):
    """A generator in training with its running average and optimiser.

    A batch is computed in `settings.accumulate` parts, whose gradients add up to one update.
    """

    def __init__(
        self, generator: Generator, settings: config.Training, placement: Placement
    ) -> None:
        self._skips = settings.on_divergence == "skip"
        self.generator = placement.network(generator)
        self.optimizer = self._optimizer(self.generator, settings.optimizer, settings)
        self.ema = None if settings.ema_decay is None else Ema(self.generator, settings.ema_decay)
        if settings.compile:
            self.generator.compile_units()
        self._shared = placement.world.share(self.generator)
        self._parts = settings.accumulate
        self._placement = placement

    def step(self, batch: Batch, rate_share: float) -> Terms:
        """One update with the scheduled share of the learning rates; this process's own terms.

        Where the settings say skip, a step that is not finite leaves networks and averages alone.
        """
        for optimizer in self._optimizers().values():
            optimizer.set_rate(rate_share)
        buffers = [buffer.clone() for buffer in self.generator.buffers()] if self._skips else []
        terms = self._update(batch)
        if self._skips and not _finite(terms):
            self._put_back(buffers)
        elif self.ema:
            self.ema.update(self.generator)
        return terms

    def shipped(self) -> Generator:
        """The network whose weights ship, in evaluation mode; valid until the next step."""
        return self.ema.network if self.ema else self.generator.eval()

    def state_dict(self) -> dict[str, Tensor]:
        """Networks, averages and optimisers as flat tensors."""
        return parts.joined(self._networks(), self._optimizers())

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state that `state_dict` gave, all of it."""
        parts.load(tensors, self._networks(), self._optimizers())

    @abstractmethod
    def _update(self, batch: Batch) -> Terms: ...

    def _networks(self) -> dict[str, nn.Module]:
        return parts.generators(self.generator, self.ema)

    def _optimizers(self) -> dict[str, Optimizer]:
        return {"optimizer": self.optimizer}

    def _optimizer(
        self, network: nn.Module, optimizer: config.Optimizer, settings: config.Training
    ) -> Optimizer:
        return Optimizer(
            network.named_parameters(), optimizer, settings.clip_gradient_norm, self._skips
        )

    def _more(self, index: int) -> bool:
        """Whether parts of the batch follow the one of this number."""
        return index < self._parts - 1

    @torch.no_grad()
    def _put_back(self, buffers: list[Tensor]) -> None:
        for buffer, before in zip(self.generator.buffers(), buffers, strict=True):
            buffer.copy_(before)


class SparnetObjective(Objective):
    """SPARNet: the pixel loss alone."""

    def __init__(
        self, generator: Generator, settings: config.TrainSparnet, placement: Placement
    ) -> None:
        super().__init__(generator, settings, placement)
        self._weight = settings.pixel_weight

    def _update(self, batch: Batch) -> Terms:
        self.optimizer.clear()
        self.generator.train()
        pixels = []
        for index, part in batch.parts(self._parts):
            with (
                refined_once(self.generator, index),
                apart(self._shared, self._more(index)),
            ):
                with self._placement.context():
                    sr = self._shared(part.lr)
                pixel = losses.pixel(sr, part.hr)
                (self._weight / self._parts * pixel).backward()
            pixels.append(pixel.detach())
        return {"pixel": torch.stack(pixels).mean(), "gradient_norm": self.optimizer.update()}


def _finite(terms: Terms) -> bool:
    return bool(torch.stack([term.float() for term in terms.values()]).isfinite().all())


def refined_once(network: nn.Module, index: int) -> AbstractContextManager[None]:
    """Within, all parts of a batch but the first leave the singular vectors as they are."""
    return spectral.paused(network) if index else nullcontext()
