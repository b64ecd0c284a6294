"""The learning rate over the training, as a share of the configured one."""

from __future__ import annotations

import math

from sparnet.config import Schedule


def share(schedule: Schedule, step: int, steps: int) -> float:
    """The share of the base rate that update `step` (0-based) of `steps` is made with.

    Rises linearly over `warmup_steps`, then stays ("constant") or falls to `final` at the last
    step along a line ("linear") or half a cosine ("cosine").
    """
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / max(1, steps - 1 - schedule.warmup_steps)
    match schedule.name:
        case "constant":
            return 1.0
        case "linear":
            left = 1 - done
        case "cosine":
            left = (1 + math.cos(math.pi * done)) / 2
    return schedule.final + (1 - schedule.final) * left
