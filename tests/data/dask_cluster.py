"""A real Dask cluster on loopback: the commands that the documentation tells people to type."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scheduler(deaths: int = 2) -> Iterator[str]:
    """The address of a scheduler, which gives up work that has ended so many workers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(deaths - 1)}
    with _started("scheduler", "--host", "127.0.0.1", "--port", str(port), settings=settings):
        yield f"tcp://127.0.0.1:{port}"


@contextmanager
def workers(address: str, count: int, threads: int = 1) -> Iterator[None]:
    """So many worker processes, which may still be on their way; they know the tests' modules."""
    numbers = ("--nworkers", str(count), "--nthreads", str(threads))
    settings = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with _started("worker", address, *numbers, settings=settings):
        yield


@contextmanager
def _started(*words: str, settings: dict[str, str]) -> Iterator[None]:
    """The command and its children; all are lost at once at the end."""
    command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
    with subprocess.Popen(
        command, env=os.environ | settings, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
