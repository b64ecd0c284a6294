"""The loss terms of SPARNet and SPARNetHD (Chen et al., 2021); every one is a scalar tensor.

A judgement is what the discriminator says at one scale: (score map N x 1 x h x w, features).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Judgement = tuple[Tensor, list[Tensor]]


def full(x: Tensor) -> Tensor:
    """`x` in at least single precision."""
    return x if x.dtype == torch.float64 else x.float()


def pixel(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of two batches of the same shape."""
    return F.l1_loss(full(sr), full(hr))


def perceptual(sr_features: Sequence[Tensor], hr_features: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean absolute difference; the target's features carry no gradient."""
    return _total([pixel(sr, hr.detach()) for sr, hr in zip(sr_features, hr_features, strict=True)])


def identity(sr_embedding: Tensor, hr_embedding: Tensor) -> Tensor:
    """Mean over the batch of 1 minus the cosine of both embeddings N x D; the target detached."""
    cosine = F.cosine_similarity(full(sr_embedding), full(hr_embedding.detach()), dim=1)
    return (1 - cosine).mean()


def feature_matching(fake: Sequence[Judgement], real: Sequence[Judgement]) -> Tensor:
    """Mean over scales of the sum over features of the mean absolute difference."""
    scales = [
        perceptual(fake_features, real_features)
        for (_, fake_features), (_, real_features) in zip(fake, real, strict=True)
    ]
    return _total(scales) / len(scales)


def adversarial(fake: Sequence[Judgement]) -> Tensor:
    """What the generator minimises: mean over scales of minus the mean score of its pictures."""
    return _total([-full(score).mean() for score, _ in fake]) / len(fake)


def hinge(fake: Sequence[Judgement], real: Sequence[Judgement]) -> Tensor:
    """What the discriminator minimises: mean over scales of half of both hinges.

    A fake's score is pushed below -1 and a real one's above 1, no further.
    """
    scales = [
        0.5 * (F.relu(1 + full(fake_score)).mean() + F.relu(1 - full(real_score)).mean())
        for (fake_score, _), (real_score, _) in zip(fake, real, strict=True)
    ]
    return _total(scales) / len(scales)


def _total(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
