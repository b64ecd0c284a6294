"""One running TorchServe: brought to readiness, watched, drained, stopped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence

import httpx
import numpy as np
import psutil

from serving import torchserve
from serving.api import Api
from serving.archive import Archive
from serving.protocol import LOAD_FAILURE
from serving.session import Session
from serving.torchserve import Ports
from sparnet import images
from sparnet.errors import UserError

_POLL = 0.1
_IDLE_SECONDS = 0.3
_NO_ANSWER = (httpx.HTTPError, OSError, ValueError, LookupError)


class Supervisor:
    """Starts the front end in the session's work folder; `stop` must be called in the end."""

    def __init__(self, session: Session, archives: Sequence[Archive], ports: Ports) -> None:
        self._session = session
        self._archives = archives
        self._ports = ports
        session.log.unlink(missing_ok=True)
        self._process = torchserve.start(session.work, archives, ports, session.log)
        self._api = Api(session.work, ports)

    def wait_until_ready(self, deadline: float) -> None:
        """Until all workers are up and every model has restored a picture.

        Raises UserError where that does not happen within `deadline` seconds.
        """
        end = time.monotonic() + deadline
        for archive in self._archives:
            while not self._workers_ready(archive):
                if self._process.poll() is not None:
                    raise self._failure("TorchServe did not start")
                if any(LOAD_FAILURE in line for line in self._warnings()):
                    raise self._failure("a worker refused its model")
                if time.monotonic() > end:
                    raise self._failure(f"{archive.name} was not ready after {deadline:g} s")
                time.sleep(_POLL)
            self._try(archive, max(1.0, end - time.monotonic()))

    def publish(self) -> None:
        """Tell clients on this machine the address and the inference token."""
        url = self._ports.url(self._ports.inference)
        self._session.publish(url, self._api.inference_token())

    def run(self, patience: float) -> int:
        """Wait for the end; the exit code.

        On an interrupt the requests already accepted have `patience` seconds to finish, or until
        a second interrupt.
        """
        try:
            code = self._process.wait()
        except KeyboardInterrupt:
            print("finishing the accepted requests; Ctrl-C again drops them", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                self._drain(patience)
            return 0
        print(f"error: {self._failure(f'TorchServe ended ({code})')}", file=sys.stderr)
        return 1

    def stop(self) -> None:
        """End every process; returns when they are gone."""
        self._api.close()
        torchserve.stop(self._process)

    def _workers_ready(self, archive: Archive) -> bool:
        try:
            workers = self._api.workers(archive.name)
        except _NO_ANSWER:
            return False
        return workers.count("READY") >= archive.settings.min_workers

    def _try(self, archive: Archive, timeout: float) -> None:
        """One real inference: a grey ramp, which is small enough to be taken as one face."""
        ramp = np.repeat(np.arange(0, 256, 16, dtype=np.uint8), 3).reshape(1, 16, 3)
        picture = images.encode_png(np.repeat(ramp, 16, axis=0))
        start = time.monotonic()
        try:
            answer = self._api.predict(archive.name, picture, timeout).raise_for_status()
            height, width = images.read(answer.content).shape[:2]
        except (*_NO_ANSWER, UserError) as error:
            raise self._failure(f"{archive.name} did not restore a picture ({error})") from None
        seconds = time.monotonic() - start
        size = f"16x16 to {width}x{height}"
        print(f"{archive.name} {archive.version}: {size} in {seconds:.2f} s", flush=True)

    def _drain(self, patience: float) -> None:
        """Shut the door, then wait until no request waits and the workers have come to rest.

        TorchServe tells how many requests wait but not how many are being answered, so workers
        count as at rest when they have used no processor for longer than a batch is held back.
        """
        end = time.monotonic() + patience
        held_back = max(archive.settings.max_batch_delay for archive in self._archives) / 1000
        with contextlib.suppress(httpx.HTTPError):
            self._api.renew_inference_token()
            used, rest = -1.0, 0.0
            while self._process.poll() is None and time.monotonic() < end:
                waiting = sum(self._api.pending(archive.name) for archive in self._archives)
                now = self._processor_seconds()
                if waiting or now > used:
                    used, rest = now, time.monotonic() + held_back + _IDLE_SECONDS
                elif time.monotonic() > rest:
                    return
                time.sleep(_POLL)

    def _processor_seconds(self) -> float:
        """Of all workers so far."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            for worker in psutil.Process(self._process.pid).children(recursive=True):
                times = worker.cpu_times()
                total += times.user + times.system
        return total

    def _failure(self, what: str) -> UserError:
        """`what`, the first warning that was logged, and the log to read."""
        first = next(iter(self._warnings()), "nothing was logged")
        return UserError(f"{what}: {first}; see {self._session.log}")

    def _warnings(self) -> list[str]:
        """What is in the log beside the requests."""
        try:
            lines = self._session.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if " ACCESS_LOG " not in line]
