from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from working import AtWork

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-")

STAGES = """
stages:
  last:
    cmd: cat middle > last
    deps: [middle]
    outs: [last]
  other:
    cmd: echo other > other
    outs: [other]
  middle:
    desc: Copy and tell
    cmd: sh middle.sh
    deps: [first, middle.sh]
    outs: [middle]
    meta: {retries: 1, retry_delay: 0, tags: [gpu]}
  first:
    cmd: cat $OUTSIDE < /dev/null > first && echo 1 >> first
    params: [seed]
    outs: [first]
    meta: {refreshes: true}
"""
MIDDLE = "echo from the middle; cat first > middle\n"


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dvc")
    run(folder, "git", "init", "-q")
    run(folder, sys.executable, "-m", "dvc", "init", "-q")
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "middle.sh").write_text(MIDDLE)
    (folder / "params.yaml").write_text("seed: 0\n")
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project of four tiny stages, none of them run yet; it is the current folder."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def keeps_handlers() -> Iterator[None]:
    """What a command does to the handling of SIGTERM ends with the test."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def prefect_api(free_port: Callable[[], int]) -> Iterator[str]:
    """The address of a real Prefect server, which this process uses too."""
    from flows import schedule

    with schedule.server(free_port()) as address:
        # Imported here, not in a test: Prefect's console handler keeps the stderr of its import.
        from prefect.settings import PREFECT_API_URL, temporary_settings

        import flows.pipeline  # noqa: F401

        with temporary_settings({PREFECT_API_URL: address}):
            yield address


@pytest.fixture
def at_work(project: Path, prefect_api: str) -> Iterator[AtWork]:
    """A flow at work; all of it is ended with the test."""
    (project / "middle.sh").write_text("echo child $$; sleep 300\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline", "--target", "middle"],
        env=os.environ | {"PREFECT_API_URL": prefect_api},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = next(line for line in process.stdout if "child" in line and "$" not in line)
    started = psutil.Process(process.pid).children(recursive=True)
    yield AtWork(process, int(told.split()[-1]))
    process.kill()
    process.communicate()
    for each in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.fixture
def running() -> Callable[[int], bool]:
    """Whether a process is alive; one that has ended and is not waited for is not."""
    return is_running
