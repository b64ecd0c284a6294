"""What a command left."""

from __future__ import annotations

from typing import NamedTuple


class Done(NamedTuple):
    """Exit code, output, errors."""

    returncode: int
    stdout: str
    stderr: str
