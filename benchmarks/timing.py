"""Wall times as medians of five; variants take turns, since a machine is noisy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

ROUNDS = 5

Work = Callable[[], object]
Times = dict[str, list[float]]
"""Seconds of every round, by variant."""


def interleaved(variants: Mapping[str, Work], device: torch.device) -> Times:
    """Time the variants in turn, `ROUNDS` times, after one call of each that is not counted."""
    times: Times = {name: [] for name in variants}
    for work in variants.values():
        work()
    for _ in range(ROUNDS):
        for name, work in variants.items():
            times[name].append(_seconds(work, device))
    return times


def median_seconds(work: Work) -> float:
    """Median time of `work` on the CPU."""
    (times,) = interleaved({"": work}, torch.device("cpu")).values()
    return statistics.median(times)


def ratio(times: Times, slow: str, fast: str) -> float:
    """How many times faster `fast` is than `slow`: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))


def _seconds(work: Work, device: torch.device) -> float:
    _finish(device)
    start = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    """Wait for what the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
