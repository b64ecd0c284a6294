"""The running average of a network's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class Ema(Generic[Net]):
    """`average = decay * average + (1 - decay) * weights` after every step.

    Buffers (running statistics, singular vectors) are copied as they are. `network` is a copy in
    evaluation mode outside of every graph.
    """

    def __init__(self, network: Net, decay: float) -> None:
        self.decay = decay
        self.network: Net = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: Net) -> None:
        averages: list[Tensor] = list(self.network.parameters())
        weights: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averages, weights, 1 - self.decay)
        self.copy_buffers(network)

    @torch.no_grad()
    def copy_buffers(self, network: Net) -> None:
        for own, current in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(current)
