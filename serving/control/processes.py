"""What the supervisor's child processes have in common."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

from sparnet.errors import UserError

_PR_SET_PDEATHSIG = 1


class NotStarted(UserError):
    """Something did not come up, or ended: nobody's mistake, and worth another try."""


def dies_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends the child SIGTERM when its parent is gone (Linux)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
