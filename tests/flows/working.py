from __future__ import annotations

import subprocess
from typing import NamedTuple


class AtWork(NamedTuple):
    """A flow in a process of its own, and the process of the stage that it is in the middle of."""

    flow: subprocess.Popen[str]
    stage: int
