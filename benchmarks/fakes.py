"""Memory counted without being taken: tensors that have shapes and lifetimes, but no content."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparnet.training.placement import Net, Placement


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, for as long as their storage lives.

    What an operation takes and returns within itself (workspaces) is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        self.peak = max(self.peak, self.now)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        weakref.finalize(storage, self._release, storage.nbytes())

    def _release(self, count: int) -> None:
        self.now -= count


class FakePlacement(Placement):
    """Fake tensors lie where they were made, and cannot be moved as a module."""

    def network(self, module: Net) -> Net:
        return module


@contextmanager
def counting() -> Iterator[LiveBytes]:
    """Within, new tensors are fake, on the CPU, and counted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")
        with _CopiedFakeMode(), LiveBytes() as live:
            yield live


def materialise(module: nn.Module) -> None:
    """Give a module on the meta device fake weights and buffers."""
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            fresh = nn.Parameter(_like(weight), weight.requires_grad)
            setattr(part, name, fresh)
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, _like(buffer))


class _CopiedFakeMode(FakeTensorMode):
    """Lets the copy of a fake module be in the same mode as the original."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
