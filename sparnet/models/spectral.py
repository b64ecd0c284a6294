"""Spectral normalisation of every convolution: apply, warm up, fold, and its released names.

Each convolution's weight is divided by sigma = u . (W v), W being the weight flattened to
out x (in * k * k), and (u, v) a pair of singular vectors that each training call refines
(Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparnet.models.network import Network

AnyModule = TypeVar("AnyModule", bound=nn.Module)

RELEASED_NAMES = {
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
}
"""Entry of a normalised convolution here -> its name in files made by the legacy torch hook."""

WARM_UP = 200


class SpectralNorm(nn.Module):
    """The parametrization W -> W / sigma of one weight.

    torch's own has the same entries and values, but iterates at construction, on the meta device
    too (13 s for SPARNetHD), computes sigma in half precision under autocast, and on removal from
    a deep copy breaks the original. Here sums of products stand in for matrix products, which
    autocast would take to half precision. Of use only once warmed up, or filled from a file.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("_u", torch.ones_like(matrix[:, 0]))
        self.register_buffer("_v", torch.zeros_like(matrix[0]))

    def forward(self, weight: Tensor) -> Tensor:
        if self.training:
            self._refine(weight)
        # Copies: a second forward pass may refine (u, v) before this one's backward pass.
        return weight / self._sigma(weight, self._u.clone(), self._v.clone())

    def sigma(self, weight: Tensor) -> Tensor:
        """The present estimate of the largest singular value, a scalar."""
        return self._sigma(weight, self._u, self._v)

    @torch.no_grad()
    def warm_up(self, weight: Tensor, iterations: int) -> None:
        """Iterate on the small matrix W W^T instead of on W; a weight on meta is left alone."""
        if weight.is_meta:
            return
        matrix = weight.flatten(1)
        gram = matrix @ matrix.T
        for _ in range(iterations):
            self._u.copy_(_unit(gram @ self._u))
        self._v.copy_(_unit(matrix.T @ self._u))

    @torch.no_grad()
    def _refine(self, weight: Tensor) -> None:
        matrix = weight.flatten(1)
        self._u.copy_(_unit((matrix * self._v).sum(dim=1)))
        self._v.copy_(_unit((matrix * self._u[:, None]).sum(dim=0)))

    @staticmethod
    def _sigma(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * (weight.flatten(1) * v).sum(dim=1)).sum()


def apply(module: AnyModule) -> AnyModule:
    """Normalise every convolution of `module`, in place, with sigma accurate from the start."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            parametrize.register_parametrization(
                part, "weight", SpectralNorm(part.weight), unsafe=True
            )
    warm_up(module)
    return module


def warm_up(module: nn.Module, iterations: int = WARM_UP) -> None:
    """Run power iterations on every normalised convolution.

    The default takes sigma within 1 % of the largest singular value even for random weights,
    whose singular values crowd together.
    """
    for _, weight, norm in _normalised(module):
        norm.warm_up(weight, iterations)


def sigmas(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Each normalised convolution's weight before division, and its present sigma (a scalar)."""
    return [
        (weight.detach(), norm.sigma(weight).detach()) for _, weight, norm in _normalised(module)
    ]


def fold(module: AnyModule) -> AnyModule:
    """Replace each W / sigma by a plain weight of that value, in place; outputs stay the same.

    For inference: it saves the division at every call. A network's config says so afterwards.
    """
    for conv, weight, norm in list(_normalised(module)):
        norm.eval()
        plain = nn.Parameter(norm(weight).detach(), weight.requires_grad)
        del conv.parametrizations
        # torch's removal edits the class, which deep copies share with their original.
        conv.__class__ = nn.Conv2d
        conv.weight = plain
    for part in module.modules():
        if isinstance(part, Network):
            part.mark_folded()
    return module


@contextmanager
def paused(module: nn.Module) -> Iterator[None]:
    """Within, training-mode calls use (u, v) as they are instead of refining them."""
    norms = [norm for _, _, norm in _normalised(module) if norm.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


def _normalised(module: nn.Module) -> Iterator[tuple[nn.Conv2d, Tensor, SpectralNorm]]:
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d) and parametrize.is_parametrized(conv, "weight"):
            chain = cast(Any, conv.parametrizations)["weight"]
            yield conv, cast(Tensor, chain.original), cast(SpectralNorm, chain[0])


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=1e-12)
