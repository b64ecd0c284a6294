"""A gateway in a thread of the test, on a real socket."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from serving.gateway import keys, server
from serving.gateway.settings import Settings
from serving.routes import Route, Routes, ServedModel
from sparnet import images

PNG = images.encode_png(np.arange(48 * 48 * 3, dtype=np.uint32).reshape(48, 48, 3).astype(np.uint8))

MODELS = (
    ServedModel(
        name="sparnet", version="0123456789ab", side=128, max_pixels=250_000, attention=True
    ),
    ServedModel(
        name="sparnethd", version="ba9876543210", side=512, max_pixels=1_000_000, attention=False
    ),
)
ROUTES = tuple(Route(main=model) for model in MODELS)


def lead(
    file: Path, upstream: str, routes: Sequence[Route] = ROUTES, **workers: tuple[int, ...]
) -> None:
    """Write the file of routes; the last one is the default. workers: of each model's version."""
    Routes(
        upstream=upstream,
        token="inference-token",
        routes=tuple(routes),
        default_model=routes[-1].name,
        workers={route.main.version: workers.get(route.name, (1,)) for route in routes},
    ).write(file)


@dataclass
class Gateway:
    """A running gateway, the keys that open it, and a client that holds one."""

    port: int
    keys: Path
    routes: Path
    key: str
    server: server.DrainingServer
    thread: threading.Thread
    client: httpx.Client

    def post(self, content: Any, path: str = "/v1/enhance", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers=named)

    def raw(self, request: bytes) -> bytes:
        """Send these bytes and read until the gateway closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                return stream.read()

    def terminate(self) -> None:
        """What SIGTERM does."""
        self.server.handle_exit(signal.SIGTERM, None)


@contextlib.contextmanager
def running(
    folder: Path, upstream: str, routes: Sequence[Route] = ROUTES, **changes: Any
) -> Iterator[Gateway]:
    path = folder / keys.FILE
    key = keys.add(path, "test", ["infer"])
    file = folder / "routes.json"
    lead(file, upstream, routes)
    settings = Settings(routes=file, keys=path, **changes)
    # asyncio sends without delay only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    instance = server.create(settings)
    thread = threading.Thread(target=instance.run, kwargs={"sockets": [listener]})
    thread.start()
    while not instance.started and thread.is_alive():
        time.sleep(0.005)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False
        ) as client:
            yield Gateway(port, path, file, key, instance, thread, client)
    finally:
        instance.should_exit = True
        thread.join()


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a well-formed problem of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert content["request_id"] == answer.headers["x-request-id"]
    return str(content["detail"])
