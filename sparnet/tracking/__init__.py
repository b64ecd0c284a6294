"""MLflow, in one place. It takes seconds to import, so only opening a store imports it."""

from sparnet.tracking.registry import CHALLENGER, CHAMPION, Registry, Version
from sparnet.tracking.runs import (
    LAST_WEIGHTS_TAG,
    WEIGHTS_TAG,
    MlflowRun,
    NullTracker,
    Tracker,
    find_run,
    find_run_by_weights,
    flatten,
    git_commit,
    run,
)
from sparnet.tracking.store import is_absent, runs_page

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "LAST_WEIGHTS_TAG",
    "WEIGHTS_TAG",
    "MlflowRun",
    "NullTracker",
    "Registry",
    "Tracker",
    "Version",
    "find_run",
    "find_run_by_weights",
    "flatten",
    "git_commit",
    "is_absent",
    "run",
    "runs_page",
]
