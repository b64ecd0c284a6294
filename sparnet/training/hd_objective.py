"""One optimisation step of SPARNetHD: the generator against multi-scale discriminators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sparnet import config
from sparnet.models import spectral
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.generator import Generator
from sparnet.models.recompute import second_time
from sparnet.training import losses
from sparnet.training.distributed import apart
from sparnet.training.objectives import Objective, Terms, refined_once
from sparnet.training.optimization import Optimizer
from sparnet.training.placement import Batch, Placement


class SparnetHdObjective(Objective):
    """SPARNetHD: pixel, perceptual, feature-matching, hinge adversarial and identity losses.

    `perceptual` gives the features of a batch, a list; `identity` gives embeddings N x D; None
    where the weight is 0.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: MultiScaleDiscriminator,
        settings: config.TrainSparnetHd,
        placement: Placement,
        perceptual: nn.Module | None = None,
        identity: nn.Module | None = None,
    ) -> None:
        for network in (generator, discriminator):
            spectral.warm_up(network, settings.spectral_warm_up)
        super().__init__(generator, settings, placement)
        self.discriminator = placement.network(discriminator).train()
        self.discriminator_optimizer = self._optimizer(
            self.discriminator, settings.discriminator_optimizer, settings
        )
        if settings.compile:
            self.discriminator.compile_scales()
        self._shared_discriminator = placement.world.share(self.discriminator)
        self.perceptual = placement.network(perceptual) if perceptual else None
        self.identity = placement.network(identity) if identity else None
        self._weights = settings.losses
        self._warm_up = settings.spectral_warm_up

    def _update(self, batch: Batch) -> Terms:
        self.generator.train()
        fakes = self._fakes(batch)
        terms = self._update_discriminator(batch, [fake.detach() for fake in fakes])
        return terms | self._update_generator(batch, fakes)

    def _fakes(self, batch: Batch) -> list[Tensor]:
        """The restored parts; with their graph where there is only one."""
        fakes = []
        with torch.set_grad_enabled(self._parts == 1), self._placement.context():
            for index, part in batch.parts(self._parts):
                with refined_once(self.generator, index):
                    fakes.append(losses.full(self._shared(part.lr)))
        return fakes

    def _update_discriminator(self, batch: Batch, fakes: Sequence[Tensor]) -> Terms:
        self.discriminator_optimizer.clear()
        hinges = []
        for index, part in batch.parts(self._parts):
            with (
                refined_once(self.discriminator, index),
                apart(self._shared_discriminator, self._more(index)),
            ):
                with self._placement.context():
                    loss = losses.hinge(*self._judge(fakes[index], part.hr))
                (loss / self._parts).backward()
            hinges.append(loss.detach())
        return {
            "discriminator": torch.stack(hinges).mean(),
            "discriminator_gradient_norm": self.discriminator_optimizer.update(),
        }

    def _judge(
        self, fake: Tensor, real: Tensor
    ) -> tuple[list[losses.Judgement], list[losses.Judgement]]:
        """Judgements of both halves of one batch: one pass, one refinement of the spectra."""
        both = self._shared_discriminator(torch.cat([fake, real]))
        count = len(fake)
        return (
            [(score[:count], [f[:count] for f in features]) for score, features in both],
            [(score[count:], [f[count:] for f in features]) for score, features in both],
        )

    def _update_generator(self, batch: Batch, fakes: Sequence[Tensor]) -> Terms:
        self.optimizer.clear()
        sums: Terms = {}
        with judging(self.discriminator):
            for index, part in batch.parts(self._parts):
                with apart(self._shared, self._more(index)):
                    terms = self._terms(self._with_graph(fakes[index], part), part.hr)
                    (terms["total"] / self._parts).backward()
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0) + term.detach() / self._parts
        return sums | {"gradient_norm": self.optimizer.update()}

    def _with_graph(self, fake: Tensor, part: Batch) -> Tensor:
        """The restored part, computed again where its graph was not kept."""
        if fake.requires_grad:
            return fake
        with second_time(self.generator), self._placement.context():
            again: Tensor = self._shared(part.lr)
        return losses.full(again)

    def _terms(self, sr: Tensor, hr: Tensor) -> Terms:
        """Every loss term of the generator, and their weighted total."""
        with self._placement.context():
            judged_fake = self.discriminator(sr)
            with torch.no_grad():
                judged_real = self.discriminator(hr)
            terms = {
                "pixel": losses.pixel(sr, hr),
                "feature_matching": losses.feature_matching(judged_fake, judged_real),
                "adversarial": losses.adversarial(judged_fake),
            }
            if self.perceptual is not None:
                with torch.no_grad():
                    target = self.perceptual(hr)
                terms["perceptual"] = losses.perceptual(self.perceptual(sr), target)
            if self.identity is not None:
                with torch.no_grad():
                    embedding = self.identity(hr)
                terms["identity"] = losses.identity(self.identity(sr), embedding)
        weighted = [getattr(self._weights, name) * term for name, term in terms.items()]
        return terms | {"total": torch.stack(weighted).sum()}

    def shipped(self) -> Generator:
        if self.ema is None:
            return super().shipped()
        # The live singular vectors nearly fit the average; these refinements make them its own.
        self.ema.copy_buffers(self.generator)
        spectral.warm_up(self.ema.network, self._warm_up)
        return self.ema.network

    def _networks(self) -> dict[str, nn.Module]:
        return super()._networks() | {"discriminator": self.discriminator}

    def _optimizers(self) -> dict[str, Optimizer]:
        return super()._optimizers() | {"discriminator_optimizer": self.discriminator_optimizer}


@contextmanager
def judging(discriminator: MultiScaleDiscriminator) -> Iterator[None]:
    """Within, the discriminator only judges: no gradients for it, its spectra stay as they are."""
    discriminator.requires_grad_(False)
    try:
        with spectral.paused(discriminator):
            yield
    finally:
        discriminator.requires_grad_(True)
