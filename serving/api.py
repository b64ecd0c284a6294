"""Calls of TorchServe's HTTP interfaces by the supervisor, which holds all the keys."""

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

    def renew_inference_token(self) -> None:
        """The old token is refused from now on; what was let in before goes on."""
        self._get("/token?type=inference", self._token("API"))

    def workers(self, model: str) -> list[str]:
        """The status of each worker; "READY" is the good one."""
        return [worker["status"] for worker in self._describe(model)["workers"]]

    def pending(self, model: str) -> int:
        """Requests that wait for a worker."""
        return int(self._describe(model)["jobQueueStatus"]["pendingRequests"])

    def predict(self, model: str, picture: bytes, timeout: float) -> httpx.Response:
        """One inference, whatever the status of the answer."""
        return self._client.post(
            f"{self._ports.url(self._ports.inference)}/predictions/{model}",
            content=picture,
            headers=_bearer(self.inference_token()),
            timeout=timeout,
        )

    def _describe(self, model: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._get(f"/models/{model}", self._token("management")).json()[0]
        return answer

    def _get(self, path: str, token: str) -> httpx.Response:
        url = self._ports.url(self._ports.management) + path
        return self._client.get(url, headers=_bearer(token)).raise_for_status()

    def _token(self, kind: str) -> str:
        return str(json.loads(self._keys.read_text())[kind]["key"])


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
