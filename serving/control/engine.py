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
from serving.control.management import Management
from serving.control.torchserve import Ports
from serving.protocol import LOAD_FAILURE, BadFrame, Options, unpack
from sparnet.errors import UserError

_POLL = 0.1
_NO_ANSWER = (httpx.HTTPError, OSError, ValueError, LookupError)


class Engine:
    """TorchServe in a private folder that it has for itself; `stop` must be called in the end."""

    def __init__(self, folder: Path, ports: Ports, log: Path) -> None:
        self._folder = folder
        self._ports = ports
        self._log = log
        self._start()

    def _start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._process = torchserve.start(self._folder, self._ports, self._log)
        self._management = Management(self._folder, self._ports)

    @property
    def url(self) -> str:
        """Where pictures are restored."""
        return self._ports.url(self._ports.inference)

    @property
    def token(self) -> str:
        """Opens `url`; new at each start."""
        return self._management.inference_token()

    def ended(self) -> UserError | None:
        """Why it does not run any more."""
        code = self._process.poll()
        return None if code is None else self.failure(f"TorchServe ended ({code})")

    def stop(self) -> None:
        """End it and its workers; returns when they are gone."""
        self._management.close()
        torchserve.stop(self._process)

    def restart(self) -> None:
        """A new TorchServe, without any model, in an empty folder; the old one is ended."""
        self.stop()
        self._start()

    def load(self, archive: Archive, deadline: float) -> None:
        """Until the workers of a version are ready and it has restored the smoke picture right.

        Raises UserError where that does not happen within `deadline` seconds; then nothing of the
        version is left.
        """
        end = time.monotonic() + deadline
        limit = archive.settings.handler.max_answer_bytes
        if limit > torchserve.MAX_ANSWER_BYTES:
            raise UserError(f"{archive.path}: its answers of {limit} bytes are too large")
        logged = len(self.warnings())
        try:
            self._wait(self._management.answers, "TorchServe did not answer", end, logged)
            _link_or_copy(archive.path, self._file(archive))
            self._management.register(self._file(archive).name, archive.settings.min_workers)
            self._wait(
                lambda: self._all_ready(archive), f"{archive.name} is not ready", end, logged
            )
            self.try_out(archive)
        except (httpx.HTTPError, BadFrame) as error:
            self.unload(archive)
            told = str(error).splitlines()[0]
            raise self.failure(f"{archive.name} {archive.version}: {told}", logged) from None
        except BaseException:
            self.unload(archive)
            raise

    def try_out(self, archive: Archive) -> None:
        """Raises UserError unless the version makes of the smoke picture what it has to."""
        frame = self._management.restore(
            archive.name, archive.version, smoke.picture(), Options(aligned=True)
        )
        smoke.matches(unpack(frame)[1], archive.golden())

    def make_default(self, archive: Archive) -> None:
        """Raises UserError where TorchServe does not take it."""
        try:
            self._management.make_default(archive.name, archive.version)
        except httpx.HTTPError as error:
            raise self.failure(f"{archive.name} {archive.version}: {error}") from None

    def unload(self, archive: Archive) -> None:
        """Stop the workers of a version; it may be gone already."""
        with contextlib.suppress(*_NO_ANSWER):
            self._management.unregister(archive.name, archive.version)
        self._file(archive).unlink(missing_ok=True)

    def workers(self, archive: Archive) -> list[dict[str, Any]]:
        """See `Management.workers`; none where TorchServe does not answer."""
        try:
            return self._management.workers(archive.name, archive.version)
        except _NO_ANSWER:
            return []

    def ready_workers(self, archive: Archive) -> int:
        return sum(worker["status"] == "READY" for worker in self.workers(archive))

    def failure(self, what: str, logged: int = 0) -> UserError:
        """`what`, the first warning after `logged` others, and the log to read."""
        first = next(iter(self.warnings()[logged:]), "nothing was logged")
        return UserError(f"{what}: {first}; see {self._log}")

    def warnings(self) -> list[str]:
        """What is in the log beside the requests."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if " ACCESS_LOG " not in line]

    def _all_ready(self, archive: Archive) -> bool:
        return self.ready_workers(archive) >= archive.settings.min_workers

    def _wait(self, done: Callable[[], bool], failed: str, end: float, logged: int) -> None:
        while not done():
            if (ended := self.ended()) is not None:
                raise ended
            if any(LOAD_FAILURE in line for line in self.warnings()[logged:]):
                raise self.failure("a worker refused its model", logged)
            if time.monotonic() > end:
                raise self.failure(f"{failed} after the deadline", logged)
            time.sleep(_POLL)

    def _file(self, archive: Archive) -> Path:
        return self._folder / torchserve.STORE / f"{archive.name}-{archive.version}.mar"


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
