"""Whether a long training keeps its memory and its pace: thousands of steps of a tiny network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks import recipes, trainings
from benchmarks.options import Options
from sparnet.data.pairs import EpochSampler
from sparnet.training.placement import Batch

STEPS = 2000
WORKERS = 1
BATCH_SIZE = 4
SETTLED = 0.25
"""Share of the steps after which memory has reached its level."""


def run(options: Options) -> None:
    """SPARNetHD's loop, with its validations and resume states, and one worker."""
    steps, people = (12, 24) if options.quick else (STEPS, 120)
    params = recipes.tiny(
        train_sparnethd={
            "batch_size": BATCH_SIZE,
            "validate_every": steps // 4,
            "checkpoint_every": steps // 4,
        }
    )
    with trainings.faces(params, people, 64, workers=0 if options.quick else 2) as data:
        dataset = data.dataset("sparnethd")
        epoch = EpochSampler(len(dataset), BATCH_SIZE, 0).steps(1)
        watch = _Watch()
        trainings.run(data, "sparnethd", steps, WORKERS, watch)
    print(f"memory, {steps} steps: {watch.slope():+.2f} MB per 1000 steps")
    print(f"pace, epochs of {epoch} steps: {_pace(watch.times, epoch)}")


def _pace(times: list[float], epoch: int) -> str:
    """The second epoch against the first, and the later half against the earlier one."""
    epochs = np.diff(times[::epoch])
    half = len(epochs) // 2
    later = statistics.median(epochs[half:]) / statistics.median(epochs[:half])
    return f"2nd / 1st {epochs[1] / epochs[0]:.2f}, later half / earlier half {later:.2f}"


@dataclass
class _Watch:
    """Passes batches on; time and resident bytes, those of the workers too, at each."""

    times: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def __call__(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        process = psutil.Process()
        for batch in stream:
            family = [process, *process.children(recursive=True)]
            self.resident.append(sum(member.memory_info().rss for member in family))
            self.times.append(time.perf_counter())
            yield batch

    def slope(self) -> float:
        """MB per 1000 steps: the line through what follows the settling."""
        settled = self.resident[int(SETTLED * len(self.resident)) :]
        return float(np.polyfit(np.arange(len(settled)), settled, 1)[0]) * 1000 / 1e6
