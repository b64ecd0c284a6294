"""The gateway as a child process of the supervisor."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import httpx

from serving.gateway.settings import Settings
from serving.processes import dies_with_parent
from sparnet.errors import UserError
from sparnet.files import write_private

_SETTINGS = "gateway.json"
_POLL = 0.05
_LAST_WORDS_SECONDS = 10.0


class GatewayProcess:
    """Starts a gateway; `stop` must be called in the end."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """`folder` is private; the settings, with the token in them, are written there."""
        self._settings = settings
        path = folder / _SETTINGS
        write_private(path, settings.model_dump_json())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "serving.gateway", str(path)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )

    def wait_until_alive(self, deadline: float) -> None:
        """Raises UserError where the gateway does not answer within `deadline` seconds."""
        end = time.monotonic() + deadline
        with httpx.Client(base_url=self._settings.local_url, trust_env=False) as client:
            while time.monotonic() < end and self.ended() is None:
                with contextlib.suppress(httpx.HTTPError):
                    if client.get("/livez").is_success:
                        return
                time.sleep(_POLL)
        raise UserError(f"the gateway did not start; see {self._settings.log or 'above'}")

    def ended(self) -> int | None:
        """The exit code of a gateway that has ended."""
        return self._process.poll()

    def drain(self) -> None:
        """Let it finish the requests that it has, for as long as its settings allow."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._settings.drain_seconds + _LAST_WORDS_SECONDS)

    def stop(self) -> None:
        """End it at once; returns when it is gone."""
        self._process.kill()
        self._process.wait()
