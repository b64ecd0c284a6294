"""One TorchServe and the gateway before it: started, watched, started again, drained, stopped."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving import notify
from serving.archive import Archive
from serving.control import torchserve
from serving.control.admin import Admin
from serving.control.audit import Audit
from serving.control.backoff import Backoff
from serving.control.engine import Engine
from serving.control.fleet import Fleet
from serving.control.gateway import GatewayProcess
from serving.control.shelf import Shelf
from serving.control.torchserve import Ports
from serving.gateway import keys
from serving.gateway.keys import KeyRing
from serving.gateway.settings import DEADLINE_SECONDS, Settings
from serving.session import Session
from sparnet.errors import UserError
from sparnet.remote.local import Address

_POLL = 0.1
_HEALTH_SECONDS = 1.0
_UNWELL_SECONDS = 60.0


@dataclass(frozen=True)
class Door:
    """Where the gateway and the admin interface listen, whom they know, and how patient they are.

    start, drain: seconds for a version to be ready, and for the last requests to be answered.
    """

    gateway: socket.socket
    admin: socket.socket
    keys: Path
    start: float
    drain: float


class Supervisor:
    """Starts everything in the session's work folder; `stop` must be called in the end."""

    def __init__(self, session: Session, ports: Ports, door: Door) -> None:
        self._session = session
        self._door = door
        self._stops = contextlib.ExitStack()
        self._backoffs = {"engine": Backoff(), "gateway": Backoff()}
        self._looked = self._alive = self._well = time.monotonic()
        session.log.unlink(missing_ok=True)
        self._engine = Engine(session.work / "torchserve", ports, session.log)
        self._gateway: GatewayProcess | None = None
        self._fleet = Fleet(
            self._engine,
            Shelf(session.folder),
            session.work / "routes.json",
            self._in_flight,
            start_seconds=door.start,
            drain_seconds=max(door.drain, DEADLINE_SECONDS),
        )
        self._audit = Audit(session.audit)

    @property
    def archives(self) -> list[Archive]:
        """What serves, a version a model."""
        return self._fleet.archives

    def start(self, store: Sequence[Path]) -> Address:
        """Serve what was deployed last, and the archives of `store`, until each has restored a
        picture; where the gateway answers, and a key that opens it.

        Raises UserError, often NotStarted, where that does not come about.
        """
        self._stops.callback(self._fleet.close)
        self._stops.callback(self._engine.stop)
        self._engine.start()
        self._fleet.start(store, _tell)
        self._well = time.monotonic()
        versions = {item.name: item.version for item in self.archives}
        self._audit.write("start", "start", "done", versions=versions)
        key, admin_key = self._local_keys()
        self._gateway = GatewayProcess(
            self._settings(), self._session.work, self._door.gateway, admin_key
        )
        self._stops.callback(self._gateway.stop)
        self._gateway.wait_until_alive(self._door.start)
        address = Address(self._settings().local_url, f"Bearer {key}")
        self._expect_ready(address)
        self._open_admin(admin_key)
        return address

    def run(self) -> int:
        """Keep everything running until an interrupt; the exit code.

        Then the gateway finishes what it has accepted, until a second interrupt.
        """
        try:
            while (given_up := self._watch()) is None:
                time.sleep(_POLL)
        except KeyboardInterrupt:
            notify.stopping()
            _tell("finishing the accepted requests; Ctrl-C again drops them")
            with contextlib.suppress(KeyboardInterrupt):
                if self._gateway is not None:
                    self._gateway.drain()
            self._door.gateway.close()  # clients are refused from now on, instead of waiting
            return 0
        _warn(f"error: {given_up}")
        return 1

    def stop(self) -> None:
        """End every process; returns when they are gone."""
        self._stops.close()

    def _watch(self) -> UserError | None:
        """Start what has ended again; why not, where that is no help any more."""
        assert self._gateway is not None
        self._look()
        if (ended := self._gateway.ended() or self._silent()) is not None:
            return self._again("gateway", ended, self._restart_gateway)
        if (ended := self._engine.ended() or self._unwell()) is not None:
            return self._again("engine", ended, self._restart_engine)
        return None

    def _look(self) -> None:
        """Once a second, whether what runs is of use."""
        assert self._gateway is not None
        now = time.monotonic()
        if now - self._looked < _HEALTH_SECONDS:
            return
        self._looked = now
        if self._gateway.alive():
            self._alive = now
        if self._fleet.look():
            self._well = now

    def _silent(self) -> UserError | None:
        """Why the gateway is of no use although it runs."""
        if time.monotonic() - self._alive > _UNWELL_SECONDS:
            return UserError(f"the gateway was silent for {_UNWELL_SECONDS:g} s")
        return None

    def _again(self, what: str, ended: UserError, restart: Callable[[], None]) -> UserError | None:
        backoff = self._backoffs[what]
        seconds = backoff.ended()
        if backoff.exhausted:
            return ended
        _warn(f"{ended}; starting it again")
        time.sleep(seconds)
        try:
            restart()
        except (UserError, OSError) as error:
            _warn(str(error))
        backoff.started()
        self._well = self._alive = time.monotonic()
        return None

    def _restart_gateway(self) -> None:
        assert self._gateway is not None
        self._gateway.restart()
        self._gateway.wait_until_alive(self._door.start)
        _tell("the gateway is back")

    def _restart_engine(self) -> None:
        try:
            self._fleet.recover(_tell)
        except UserError:
            self._engine.stop()  # which is noticed, and tried again later
            raise
        _tell("TorchServe is back")

    def _unwell(self) -> UserError | None:
        """Why TorchServe is of no use although it runs."""
        if time.monotonic() - self._well > _UNWELL_SECONDS:
            return self._engine.failure(f"a model had no worker for {_UNWELL_SECONDS:g} s")
        return None

    def _local_keys(self) -> tuple[str, str]:
        """For whoever started the server: new at each start, gone at its end."""
        infer, admin = (
            keys.lent(self._door.keys, f"local-{scope}-{self._session.identity}", [scope])
            for scope in keys.SCOPES
        )
        return self._stops.enter_context(infer), self._stops.enter_context(admin)

    def _settings(self) -> Settings:
        host, port = self._door.gateway.getsockname()[:2]
        return Settings(
            host=host,
            port=port,
            routes=self._session.work / "routes.json",
            keys=self._door.keys.resolve(),
            log=self._session.gateway_log,
            max_body_bytes=torchserve.MAX_REQUEST_BYTES,
            drain_seconds=self._door.drain,
        )

    def _expect_ready(self, address: Address) -> None:
        try:
            answer = httpx.get(f"{address.url}/readyz", timeout=self._door.start, trust_env=False)
            reason = answer.json().get("detail") if answer.is_error else None
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
        if reason:
            raise self._engine.failure(f"no picture came back through the gateway ({reason})")

    def _open_admin(self, admin_key: str) -> None:
        admin = Admin(self._fleet, KeyRing(self._door.keys), self._audit, self._door.admin)
        self._stops.callback(admin.stop)
        host, port = self._door.admin.getsockname()[:2]
        self._session.publish_admin(Address(f"http://{host}:{port}", f"Bearer {admin_key}"))

    def _in_flight(self, name: str, version: str) -> int:
        return 0 if self._gateway is None else self._gateway.in_flight(name, version)


def _tell(text: str) -> None:
    print(text, flush=True)


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
