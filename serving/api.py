"""Calls of TorchServe's management interface by the supervisor, which holds all the keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from serving.torchserve import KEYS, Ports

_MANAGEMENT_TIMEOUT = 10.0


class Api:
    """The front end that was started in `folder`. Calls raise httpx.HTTPError."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._keys = folder / KEYS
        self._ports = ports
        self._client = httpx.Client(timeout=_MANAGEMENT_TIMEOUT, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def inference_token(self) -> str:
        """The token that opens the inference port and nothing else."""
        return self._token("inference")

    def workers(self, model: str) -> list[str]:
        """The status of each worker; "READY" is the good one."""
        return [worker["status"] for worker in self._describe(model)["workers"]]

    def _describe(self, model: str) -> dict[str, Any]:
        url = f"{self._ports.url(self._ports.management)}/models/{model}"
        headers = {"Authorization": f"Bearer {self._token('management')}"}
        answer: dict[str, Any] = self._client.get(url, headers=headers).raise_for_status().json()[0]
        return answer

    def _token(self, kind: str) -> str:
        return str(json.loads(self._keys.read_text())[kind]["key"])
