"""Where a training computes: device, memory layout, precision, and the processes it shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from sparnet.training.distributed import ALONE, World

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Batch:
    """Faces N x 3 x S x S in [-1, 1]: `lr` upsampled to full size, `hr` the target."""

    lr: Tensor
    hr: Tensor

    def parts(self, count: int) -> Iterator[tuple[int, Batch]]:
        """`count` equal parts with their numbers; N must be a multiple of it."""
        pairs = zip(self.lr.chunk(count), self.hr.chunk(count), strict=True)
        return enumerate(Batch(lr, hr) for lr, hr in pairs)


@dataclass(frozen=True)
class Placement:
    """Where networks and batches lie, in which layout, and the type of the forward passes."""

    device: torch.device
    autocast: torch.dtype | None = None
    layout: torch.memory_format = torch.contiguous_format
    world: World = ALONE

    def network(self, module: Net) -> Net:
        """Move a network there. Batch norms of several GPUs then share their statistics."""
        if self.world.size > 1 and self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
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
