"""Work for a cluster's workers, which import it by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sparnet.errors import UserError


def square(number: int) -> int:
    if number == 666:
        raise UserError("666 is refused")
    return number * number


def process(_: int) -> int:
    return os.getpid()


def killed_once(folder: Path, number: int) -> int:
    """The square; number 7 ends its process, without a word, the first time."""
    mark = folder / "killed"
    if number == 7 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def endless(number: int) -> int:
    """Begins with number 0 at once, then takes longer than any test."""
    if number:
        time.sleep(600)
    return number
