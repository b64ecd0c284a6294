"""The one running TorchServe: started, told what to load, asked, started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from serving import smoke
from serving.archive import Archive
from serving.control import torchserve
from serving.control.logged import Warnings
from serving.control.management import NO_ANSWER, Management
from serving.control.processes import NotStarted
from serving.control.torchserve import Ports
from serving.protocol import LOAD_FAILURE, BadFrame, Options, unpack
from sparnet.errors import UserError

_POLL = 0.1
_LEAST_SECONDS = 1.0


class Engine:
    """TorchServe in a private folder that it has for itself; `stop` must be called in the end."""

    def __init__(self, folder: Path, ports: Ports, log: Path) -> None:
        self._folder = folder
        self._ports = ports
        self._log = log
        self._started = Warnings(log)
        self._process: torchserve.Process | None = None
        self._management = Management(folder, ports)

    @property
    def url(self) -> str:
        """Where pictures are restored."""
        return self._ports.url(self._ports.inference)

    @property
    def token(self) -> str:
        """Opens `url`; new at each start."""
        return self._management.inference_token()

    def start(self) -> None:
        """A new TorchServe, without any model, in an empty folder; one that runs is ended."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._started = Warnings(self._log)
        self._process = torchserve.start(self._folder, self._ports, self._log)

    def ended(self) -> UserError | None:
        """Why it does not run."""
        code = None if self._process is None else self._process.poll()
        if self._process is not None and code is None:
            return None
        return self._failed(f"TorchServe ended ({code})", self._started)

    def stop(self) -> None:
        """End it and its workers; returns when they are gone."""
        if self._process is not None:
            torchserve.stop(self._process)
            self._process = None

    def load(self, archive: Archive, deadline: float) -> None:
        """Until the workers of a version are ready and it has restored the smoke picture right.

        Raises UserError where that does not happen within `deadline` seconds; then nothing of the
        version is left.
        """
        limit = archive.settings.handler.max_answer_bytes
        if limit > torchserve.MAX_ANSWER_BYTES:
            raise UserError(f"{archive.path}: its answers of {limit} bytes are too large")
        end, told = time.monotonic() + deadline, Warnings(self._log)
        self._wait(self.answers, "TorchServe did not answer", end, told)
        self.unload(archive)  # a register that was too slow may have gone on
        told = Warnings(self._log)
        try:
            self._load(archive, end, told)
        except BaseException as error:
            self.unload(archive)
            if isinstance(error, httpx.HTTPError | BadFrame):
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise self._failed(f"{archive.name} {archive.version}: {reason}", told) from None
            raise

    def _load(self, archive: Archive, end: float, told: Warnings) -> None:
        _link_or_copy(archive.path, self._file(archive))
        workers, file = archive.settings.min_workers, self._file(archive).name
        self._management.register(file, workers, _left(end))
        name, version = archive.name, archive.version
        self._wait(
            lambda: len(self.ready_workers(archive)) >= workers, f"{name} is not ready", end, told
        )
        frame = self._management.restore(
            name, version, smoke.picture(), Options(aligned=True), _left(end)
        )
        smoke.matches(unpack(frame)[1], archive.golden())

    def make_default(self, archive: Archive) -> None:
        """Raises UserError where TorchServe does not take it."""
        try:
            self._management.make_default(archive.name, archive.version)
        except NO_ANSWER as error:
            raise self.failure(f"{archive.name} {archive.version}: {error}") from None

    def unload(self, archive: Archive) -> None:
        """Stop the workers of a version; it may be gone already."""
        with contextlib.suppress(*NO_ANSWER):
            self._management.unregister(archive.name, archive.version)
        self._file(archive).unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether it takes calls."""
        return self._management.answers()

    def workers(self, archive: Archive) -> list[dict[str, Any]]:
        """See `Management.workers`; none where TorchServe does not answer."""
        try:
            return self._management.workers(archive.name, archive.version)
        except NO_ANSWER:
            return []

    def ready_workers(self, archive: Archive) -> list[int]:
        """The process ids of the workers that take pictures."""
        return [worker["pid"] for worker in self.workers(archive) if worker["status"] == "READY"]

    def failure(self, what: str) -> NotStarted:
        """`what`, the first warning since the start, and the log to read."""
        return self._failed(what, self._started)

    def _failed(self, what: str, told: Warnings) -> NotStarted:
        first = next(iter(told.lines()), "nothing was logged")
        return NotStarted(f"{what}: {first}; see {self._log}")

    def _wait(self, done: Callable[[], bool], failed: str, end: float, told: Warnings) -> None:
        while not done():
            if (ended := self.ended()) is not None:
                raise ended
            if refused := [line for line in told.lines() if LOAD_FAILURE in line]:
                raise UserError(f"a worker refused its model: {refused[0]}; see {self._log}")
            if time.monotonic() > end:
                raise self._failed(f"{failed} after the deadline", told)
            time.sleep(_POLL)

    def _file(self, archive: Archive) -> Path:
        return self._folder / torchserve.STORE / f"{archive.name}-{archive.version}.mar"


def _left(end: float) -> float:
    return max(_LEAST_SECONDS, end - time.monotonic())


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
