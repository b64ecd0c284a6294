"""Running a command so that nothing of it outlives the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

from flows import QUIET

PATIENCE = ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))
"""How a group is ended: signal, and seconds to wait for it. SIGINT first, at which a training saves
its state; together shorter than the 30 s that Prefect grants a cancelled run."""


def run(command: Sequence[str], on_line: Callable[[str], None], folder: Path | None = None) -> int:
    """Run `command` in `folder`, hand on each line of its output; returns the exit status.

    However the call ends (an exception, Ctrl-C, a signal that raises), every process that the
    command started has ended too.
    """
    with group(command, folder) as process:
        assert process.stdout is not None
        for line in process.stdout:
            on_line(line.rstrip())
        return process.wait()


@contextmanager
def group(
    command: Sequence[str], folder: Path | None = None, output: IO[bytes] | int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Start `command` in a session of its own; end all of its processes on the way out."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        try:
            _end(process)
        finally:
            _send(process.pid, signal.SIGKILL)
            process.wait()


def environment() -> dict[str, str]:
    """This process's, without telemetry, unbuffered, and with its interpreter's folder first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return os.environ | QUIET | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def _end(process: subprocess.Popen[str]) -> None:
    for number, seconds in PATIENCE:
        if not _running(process):
            return
        _send(process.pid, number)
        deadline = time.monotonic() + seconds
        while _running(process) and time.monotonic() < deadline:
            time.sleep(0.05)


def _running(process: subprocess.Popen[str]) -> bool:
    """Whether any process of the group is left; a zombie that nobody waits for is none."""
    process.poll()
    return any(_in_group(one, process.pid) for one in psutil.process_iter())


def _in_group(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _send(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return
