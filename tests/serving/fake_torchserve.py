"""A loopback HTTP server that answers as TorchServe and the handler do, well or badly, as told."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serving.protocol import (
    OPTIONS_HEADER,
    PROBLEM_TYPE,
    RESTORED_TYPE,
    Face,
    Head,
    LeftFace,
    Options,
    pack,
)

_WAIT = 10.0


def _own(code: int, message: str) -> tuple[int, dict[str, str], bytes]:
    body = {"code": code, "type": "InternalServerException", "message": message}
    return code, {"Content-Type": "application/json"}, json.dumps(body, indent=2).encode()


def _problem(status: int, detail: str) -> tuple[int, dict[str, str], bytes]:
    body = {"type": "about:blank", "title": "x", "status": status, "detail": detail}
    return status, {"Content-Type": PROBLEM_TYPE}, json.dumps(body).encode()


HEAD = Head(
    faces=[
        Face(
            box=(10.5, 8, 30, 40.2),
            points=[(15, 18), (25, 18), (20, 24), (16, 30), (24, 30)],
            score=0.9,
            confidence=0.75,
            reason="small",
        )
    ],
    left=[LeftFace(confidence=0.1, reason="blurred")],
    seconds=0.01,
)
"""What is told of every picture; `attention` is added where it is asked for."""

SHEET = "iVBORw0KGgo="

MISDEEDS = {
    "worker died": _own(503, "Worker died."),
    "unknown token": _own(400, "Token Authorization failed. Token either incorrect, expired"),
    "unknown model": _own(404, "Model not found: sparnethd"),
    "queue full": _own(
        503, 'Model "sparnet" has no worker to serve inference request. Please use scale workers'
    ),
    "prediction failed": _own(503, "Prediction failed"),
    "batch out of memory": _own(507, "Out of resources"),
    "no face": _problem(422, "no face was found; send one face to /v1/faces"),
    "damaged": _problem(400, "damaged picture (truncated)"),
    "answer too large": _problem(413, "the restored picture is too large"),
    "out of memory": _problem(503, "out of memory; try again later"),
    "handler failed": _problem(500, "the picture was not restored"),
    "no frame": (200, {"Content-Type": RESTORED_TYPE}, b"<html>"),
    "no picture": (200, {"Content-Type": RESTORED_TYPE}, pack(HEAD, b"<html>")),
}


class FakeTorchServe(ThreadingHTTPServer):
    """`told` holds what goes wrong with the next requests; without, `png` is answered."""

    daemon_threads = True

    def __init__(self, png: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.png = png
        self.told: deque[str] = deque()
        self.asked: list[tuple[str, list[tuple[str, str]], bytes]] = []
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def frame(self, body: bytes, options: Options) -> bytes:  # noqa: ARG002
        """A good answer."""
        update = {"attention": [SHEET]} if options.attention else {}
        return pack(HEAD.model_copy(update=update), self.png)


class _Handler(BaseHTTPRequestHandler):
    server: FakeTorchServe
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, list(self.headers.items()), body))
        self.server.arrived.release()
        told = self.server.told.popleft() if self.server.told else "good"
        if told == "hangs up":
            self.close_connection = True
            return
        if told == "waits":
            self.server.go_on.wait(_WAIT)
        status, headers, content = MISDEEDS.get(told) or self._good(body)
        with contextlib.suppress(OSError):  # the gateway has given up
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def _good(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        options = Options.parse(self.headers[OPTIONS_HEADER])
        return 200, {"Content-Type": RESTORED_TYPE}, self.server.frame(body, options)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def running(png: bytes, kind: type[FakeTorchServe] = FakeTorchServe) -> Iterator[FakeTorchServe]:
    with kind(png) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()
