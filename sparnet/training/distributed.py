"""Several processes that train as one, through torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sparnet.errors import UserError

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Launch:
    """Which of the processes that torchrun started this one is; local: on its machine."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Launch | None:
        """From torchrun's variables; None where it did not start this process."""
        try:
            return cls(*(int(environment[name]) for name in _VARIABLES))
        except KeyError:
            return None


@dataclass(frozen=True)
class World:
    """The processes of one training. Every method must be called by all of them, in one order."""

    rank: int = 0
    size: int = 1
    _control: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process is the one that validates, logs and writes."""
        return self.rank == 0

    def share(self, network: nn.Module) -> nn.Module:
        """`network`, wrapped so that a backward pass averages its gradients over the processes.

        Buffers need no exchange: singular vectors follow from the weights, which are equal, and
        batch norm is synchronised on GPUs and the leader's own elsewhere.
        """
        if self.size == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        raised = torch.tensor(int(flag))
        dist.all_reduce(raised, dist.ReduceOp.MAX, group=self._control)
        return bool(raised)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes, elementwise, as float64 on the CPU."""
        # In this order: Apple's devices have no float64.
        mean = values.detach().cpu().double()
        if self.size > 1:
            dist.all_reduce(mean, group=self._control)
            mean /= self.size
        return mean

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier(group=self._control)


ALONE = World()
"""The world of one process."""


def apart(network: nn.Module, more_to_come: bool) -> AbstractContextManager[None]:
    """Within, where more parts of a batch are to come, gradients are not exchanged yet."""
    if more_to_come and isinstance(network, DistributedDataParallel):
        hold: AbstractContextManager[None] = network.no_sync()
        return hold
    return nullcontext()


@contextmanager
def joined(launch: Launch | None, device: torch.device) -> Iterator[World]:
    """The world that torchrun started this process in; else one of this process alone.

    Raises UserError for a device that processes cannot share a training on.
    """
    if launch is None:
        yield ALONE
        return
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"compute.processes: {device.type} takes one process; use 1")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        # Flags and figures go through the CPU, so that asking for one does not hold up a GPU.
        yield World(launch.rank, launch.size, dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()
