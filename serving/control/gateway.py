"""The gateway as a child process of the supervisor."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from serving.control.processes import NotStarted, dies_with_parent
from serving.gateway.metrics import IN_FLIGHT_BY_VERSION
from serving.gateway.settings import Settings
from sparnet.errors import UserError
from sparnet.files import write_private

_SETTINGS = "gateway.json"
_POLL = 0.05
_LAST_WORDS_SECONDS = 10.0
_FEW_HEAPS = {"MALLOC_ARENA_MAX": "2"}
"""Each thread that encodes pictures would get a heap of its own, and each of these its gaps."""


class GatewayProcess:
    """Starts a gateway; `stop` must be called in the end.

    It inherits the listening socket, which outlives it: while a killed gateway is started again,
    new clients wait in the socket's queue instead of being refused.
    """

    def __init__(
        self, settings: Settings, folder: Path, listener: socket.socket, admin_key: str
    ) -> None:
        """`folder` is private; the settings are written there. admin_key: opens its /metrics."""
        self._settings = settings.model_copy(update={"listener": listener.fileno()})
        self._listener = listener
        self._file = folder / _SETTINGS
        write_private(self._file, self._settings.model_dump_json())
        headers = {"Authorization": f"Bearer {admin_key}"}
        self._client = httpx.Client(base_url=settings.local_url, headers=headers, trust_env=False)
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "serving.gateway", str(self._file)],
            env=os.environ | _FEW_HEAPS,
            stdin=subprocess.DEVNULL,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )

    def wait_until_alive(self, deadline: float) -> None:
        """Raises NotStarted where the gateway does not answer within `deadline` seconds."""
        end = time.monotonic() + deadline
        while time.monotonic() < end and self.ended() is None:
            if self.alive():
                return
            time.sleep(_POLL)
        raise NotStarted(f"the gateway did not start; see {self._settings.log or 'above'}")

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/livez", timeout=1.0).is_success
        except httpx.HTTPError:
            return False

    def in_flight(self, name: str, version: str) -> int:
        """Requests that it has for a version, now that it follows the routes of this moment; 1
        where it does not answer."""
        try:
            text = self._client.get("/metrics").raise_for_status().text
        except httpx.HTTPError:
            return 1
        wanted = {"model": name, "version": version}
        return sum(
            int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == IN_FLIGHT_BY_VERSION and sample.labels == wanted
        )

    def ended(self) -> UserError | None:
        """Why it does not run any more."""
        code = self._process.poll()
        if code is None:
            return None
        return UserError(f"the gateway ended ({code}); see {self._settings.log}")

    def restart(self) -> None:
        """Start it again, whether it has ended or is of no use any more."""
        self._process.kill()
        self._process.wait()
        self._start()

    def drain(self) -> None:
        """Let it finish the requests that it has, for as long as its settings allow."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._settings.drain_seconds + _LAST_WORDS_SECONDS)

    def stop(self) -> None:
        """End it at once; returns when it is gone."""
        self._process.kill()
        self._process.wait()
        self._client.close()
