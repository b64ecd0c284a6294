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
        return nullcontext(), _second_time(unit)

    result: Tensor = checkpoint(unit, x, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def _second_time(unit: nn.Module) -> Iterator[None]:
    """Running statistics and singular vectors were updated the first time, and stay put."""
    norms = [
        part
        for part in unit.modules()
        if isinstance(part, nn.BatchNorm2d) and part.track_running_stats and part.training
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        with spectral.paused(unit):
            yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
