"""How work on many pictures is told of, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sparnet.errors import UserError
from sparnet.inference.planning import Outcome, Task


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Whoever ends the command politely leaves nothing half done behind either."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def report(outcomes: Iterator[Outcome], tasks: Sequence[Task], allow_no_face: bool = False) -> int:
    """Tell what became of each picture, and return how many failed; the only one raises."""
    from tqdm import tqdm

    from sparnet.progress import progress

    total = len(tasks)
    failed = faceless = 0
    for outcome in progress(outcomes, total, "enhance") if total > 1 else outcomes:
        excused = outcome.faceless and allow_no_face
        if total == 1 and not (outcome.good or excused):
            raise UserError(outcome.told)
        failed += not (outcome.good or excused)
        faceless += excused
        label = "" if outcome.good else "no result: " if excused else "error: "
        tqdm.write(label + outcome.told, file=sys.stdout if outcome.good else sys.stderr)
    if total > 1:
        kinds = {"videos" if task.is_video else "pictures" for task in tasks}
        what = " and ".join(sorted(kinds))
        told = f"{total - failed - faceless} of {total} {what} restored, {failed} failed"
        print(told + (f", {faceless} without a face" if faceless else ""))
    return failed
