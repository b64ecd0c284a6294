"""What both training stages share: the run's tags and the exit code of a stopped training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from sparnet import tracking
from sparnet.training import job
from sparnet.training.interruption import Interrupted
from sparnet.training.objectives import Objective, Placement


def train(work: job.Job, build: Callable[[Placement], Objective]) -> None:
    """Run the job. After SIGINT or SIGTERM say how to go on and exit with 130 or 143."""
    tags = {
        "stage": f"train_{work.model}",
        "architecture": work.settings.network.name,
        "git_commit": tracking.git_commit(Path()),
    }
    if name := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = name
    try:
        job.run(work, build, tags)
    except Interrupted as stop:
        print(
            f"train_{work.model}: {stop}; the state is saved, `dvc repro` goes on from there",
            file=sys.stderr,
        )
        sys.exit(stop.exit_code)
