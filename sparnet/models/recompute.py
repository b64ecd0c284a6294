"""Gradient checkpointing that leaves no trace: less memory, the same gradients and buffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sparnet.models import spectral


def recomputed(unit: nn.Module, x: Tensor) -> Tensor:
    """`unit(x)`, whose inner activations are computed again for the backward pass.

    Exact as long as `unit` is not called again between this call and its backward pass.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), second_time(unit)

    result: Tensor = checkpoint(unit, x, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def second_time(unit: nn.Module) -> Iterator[None]:
    """Within, calls leave running statistics and singular vectors as the first time left them."""
    norms = [
        (norm, norm.momentum, norm.num_batches_tracked)
        for norm in unit.modules()
        if isinstance(norm, nn.BatchNorm2d | nn.SyncBatchNorm)
        and norm.training
        and norm.num_batches_tracked is not None
    ]
    for norm, _, count in norms:
        # SyncBatchNorm insists on a counter: it counts on a copy.
        norm.momentum, norm.num_batches_tracked = 0.0, count.clone()
    try:
        with spectral.paused(unit):
            yield
    finally:
        for norm, momentum, count in norms:
            norm.momentum, norm.num_batches_tracked = momentum, count
