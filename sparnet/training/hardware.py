"""What the training runs on: precision, layout, threads, repeatability."""

from __future__ import annotations

import torch
import torch.utils.deterministic

from sparnet.errors import UserError
from sparnet.training.distributed import Launch


def layout(where: torch.device, norm: str) -> torch.memory_format:
    """The faster layout of the networks' tensors.

    Convolutions like channels last; but an instance norm on a CPU copies such tensors there and
    back, which costs more than it gains.
    """
    if where.type == "cpu" and norm == "instance":
        return torch.contiguous_format
    return torch.channels_last


def local(where: torch.device, launch: Launch | None) -> torch.device:
    """The device of this process: with several on a machine, each takes a GPU of its own."""
    if launch is None or where.type != "cuda":
        return where
    if launch.local_size > torch.cuda.device_count():
        raise UserError(
            f"{launch.local_size} processes on this machine, but {torch.cuda.device_count()} "
            "GPUs; lower compute.processes"
        )
    torch.cuda.set_device(launch.local_rank)
    return torch.device("cuda", launch.local_rank)


def prepare(where: torch.device, threads: int) -> None:
    """Set torch's threads. On a CPU the same inputs then give the same bits; on a GPU, where they
    would cost a good part of its speed, they give nearly the same."""
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error" if where.type == "cpu" else "default")
    # Filling fresh memory guards against reading it unset; nothing here does, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = True
