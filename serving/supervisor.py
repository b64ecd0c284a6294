"""One running TorchServe and the gateway before it: made ready, watched, drained, stopped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving import smoke, torchserve
from serving.api import Api
from serving.archive import Archive
from serving.gateway import keys
from serving.gateway.process import GatewayProcess
from serving.gateway.settings import ServedModel, Settings
from serving.protocol import LOAD_FAILURE
from serving.session import Session
from serving.torchserve import Ports
from sparnet import images
from sparnet.errors import UserError
from sparnet.remote import Address, Client, Patience

LOCAL_KEY = "local"
"""The name of the key of whoever started the server; new at each start, gone at its end."""

_POLL = 0.1
_NO_ANSWER = (httpx.HTTPError, OSError, ValueError, LookupError)


@dataclass(frozen=True)
class Door:
    """Where the gateway listens, whom it knows, and how long it drains, in seconds."""

    host: str
    port: int
    keys: Path
    drain: float


class Supervisor:
    """Starts the front end in the session's work folder; `stop` must be called in the end."""

    def __init__(
        self, session: Session, archives: Sequence[Archive], ports: Ports, door: Door
    ) -> None:
        self._session = session
        self._archives = archives
        self._ports = ports
        self._door = door
        self._gateway: GatewayProcess | None = None
        session.log.unlink(missing_ok=True)
        self._process = torchserve.start(session.work, archives, ports, session.log)
        self._api = Api(session.work, ports)

    def start(self, deadline: float) -> Address:
        """Until every model has restored a picture that came through the gateway.

        Raises UserError where that does not happen within `deadline` seconds.
        """
        end = time.monotonic() + deadline
        for archive in self._archives:
            self._wait_for_workers(archive, end, deadline)
        settings = self._settings()
        keys.revoke_named(self._door.keys, LOCAL_KEY)
        key = keys.add(self._door.keys, LOCAL_KEY, ["infer"])
        self._gateway = GatewayProcess(settings, self._session.work)
        self._gateway.wait_until_alive(max(1.0, end - time.monotonic()))
        address = Address(settings.local_url, f"Bearer {key}")
        for archive in self._archives:
            self._try(archive, address, max(1.0, end - time.monotonic()))
        return address

    def run(self) -> int:
        """Wait for the end; the exit code.

        On an interrupt the gateway finishes what it has accepted, until a second interrupt.
        """
        try:
            while (ended := self._ended()) is None:
                time.sleep(_POLL)
        except KeyboardInterrupt:
            print("finishing the accepted requests; Ctrl-C again drops them", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                if self._gateway is not None:
                    self._gateway.drain()
            return 0
        print(f"error: {ended}", file=sys.stderr)
        return 1

    def stop(self) -> None:
        """End every process; returns when they are gone."""
        if self._gateway is not None:
            self._gateway.stop()
        self._api.close()
        torchserve.stop(self._process)
        with contextlib.suppress(UserError):  # a broken file of keys was told of before
            keys.revoke_named(self._door.keys, LOCAL_KEY)

    def _wait_for_workers(self, archive: Archive, end: float, deadline: float) -> None:
        while not self._workers_ready(archive):
            if self._process.poll() is not None:
                raise self._failure("TorchServe did not start")
            if any(LOAD_FAILURE in line for line in self._warnings()):
                raise self._failure("a worker refused its model")
            if time.monotonic() > end:
                raise self._failure(f"{archive.name} was not ready after {deadline:g} s")
            time.sleep(_POLL)

    def _workers_ready(self, archive: Archive) -> bool:
        try:
            workers = self._api.workers(archive.name)
        except _NO_ANSWER:
            return False
        return workers.count("READY") >= archive.settings.min_workers

    def _settings(self) -> Settings:
        models = tuple(
            ServedModel(
                name=item.name, version=item.version, max_pixels=item.settings.handler.max_pixels
            )
            for item in self._archives
        )
        return Settings(
            host=self._door.host,
            port=self._door.port,
            upstream=self._ports.url(self._ports.inference),
            upstream_token=self._api.inference_token(),
            keys=self._door.keys.resolve(),
            log=self._session.gateway_log,
            models=models,
            default_model=models[-1].name,
            max_body_bytes=torchserve.MAX_REQUEST_BYTES,
            max_in_flight=sum(_capacity(item) for item in self._archives),
            drain_seconds=self._door.drain,
        )

    def _try(self, archive: Archive, address: Address, timeout: float) -> None:
        """One real inference."""
        picture, start = smoke.picture(), time.monotonic()
        try:
            once = Patience(attempts=1)
            with Client(address.url, address.key, patience=once, timeout=timeout) as client:
                answer = client.enhance(picture, model=archive.name, aligned=True)
            height, width = images.read(answer.picture).shape[:2]
        except UserError as error:
            raise self._failure(f"{archive.name} did not restore a picture ({error})") from None
        seconds = time.monotonic() - start
        size = f"{smoke.SIDE}x{smoke.SIDE} to {width}x{height}"
        print(f"{archive.name} {archive.version}: {size} in {seconds:.2f} s", flush=True)

    def _ended(self) -> UserError | None:
        """What has ended by itself."""
        if (code := self._process.poll()) is not None:
            return self._failure(f"TorchServe ended ({code})")
        if self._gateway is not None and (code := self._gateway.ended()) is not None:
            return UserError(f"the gateway ended ({code}); see {self._session.gateway_log}")
        return None

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


def _capacity(archive: Archive) -> int:
    """Requests that TorchServe takes before it refuses one."""
    settings = archive.settings
    return settings.max_workers * settings.batch_size + settings.job_queue_size
