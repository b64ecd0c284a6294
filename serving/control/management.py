"""Calls of TorchServe's own interfaces by the supervisor, which holds all the keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from serving.control.torchserve import KEYS, Ports
from serving.protocol import OPTIONS_HEADER, Options

NO_ANSWER = (httpx.HTTPError, OSError, ValueError, LookupError)
"""What calls raise where TorchServe is not there, not yet there, or says no."""

_MANAGEMENT_TIMEOUT = 10.0


class Management:
    """The front end that was started in `folder`. Calls raise one of NO_ANSWER."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._keys = folder / KEYS
        self._ports = ports
        self._client = httpx.Client(trust_env=False)

    def inference_token(self) -> str:
        """The token that opens the inference port and nothing else."""
        return self._token("inference")

    def answers(self) -> bool:
        """Whether the front end takes calls."""
        try:
            self._call("GET", "")
        except NO_ANSWER:
            return False
        return True

    def register(self, file: str, workers: int, seconds: float) -> None:
        """Unpack an archive of its model store, for which it has `seconds`, and start its workers,
        without waiting for them."""
        params: dict[str, str | int] = {
            "url": file,
            "initial_workers": workers,
            "synchronous": "false",
        }
        self._call("POST", "", params, seconds)

    def unregister(self, name: str, version: str) -> None:
        """Stop the workers of a version that is not the default one, and forget it."""
        self._call("DELETE", f"/{name}/{version}")

    def make_default(self, name: str, version: str) -> None:
        """Only a version that is not the default one can be unregistered."""
        self._call("PUT", f"/{name}/{version}/set-default")

    def workers(self, name: str, version: str) -> list[dict[str, Any]]:
        """Of each worker its `pid` and its `status` ("READY" is the good one)."""
        [told] = self._call("GET", f"/{name}/{version}").json()
        return [{key: worker[key] for key in ("pid", "status")} for worker in told["workers"]]

    def restore(
        self, name: str, version: str, picture: bytes, options: Options, seconds: float
    ) -> bytes:
        """What the version answers, within `seconds`, when it is asked without the gateway."""
        url = f"{self._ports.url(self._ports.inference)}/predictions/{name}/{version}"
        headers = {
            "Authorization": f"Bearer {self.inference_token()}",
            "Content-Type": "application/octet-stream",
            OPTIONS_HEADER: options.header(),
        }
        answer = self._client.post(url, content=picture, headers=headers, timeout=seconds)
        return answer.raise_for_status().content

    def _call(
        self,
        method: str,
        path: str,
        params: dict[str, str | int] | None = None,
        seconds: float = _MANAGEMENT_TIMEOUT,
    ) -> httpx.Response:
        url = f"{self._ports.url(self._ports.management)}/models{path}"
        headers = {"Authorization": f"Bearer {self._token('management')}"}
        answer = self._client.request(method, url, params=params, headers=headers, timeout=seconds)
        return answer.raise_for_status()

    def _token(self, kind: str) -> str:
        return str(json.loads(self._keys.read_text())[kind]["key"])
