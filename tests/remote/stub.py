"""A loopback server that answers as the gateway does, well or badly, as told."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from loopback import listening

KEY = "0123456789ab.secret"
FACE = {
    "box": [1.0, 2.0, 30.0, 40.0],
    "points": [[10, 10], [20, 10], [15, 20], [10, 30], [20, 30]],
    "score": 0.9,
    "confidence": 0.8,
    "reason": None,
}
MODELS = [
    {"name": "sparnet", "version": "0123456789ab", "side": 128, "max_pixels": 250_000}
    | {"attention": True, "default": False},
    {"name": "sparnethd", "version": "ba9876543210", "side": 512, "max_pixels": 1_000_000}
    | {"attention": False, "default": True},
]
_WAIT = 20.0

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    path: str
    options: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Stub:
    """`told` holds what the next requests for a picture get, then every one gets a good answer.

    A good answer is the body of the request, after "restored ". "hangs up" is no answer at all;
    "waits" is a good one as soon as `go_on` is set. A body that begins with "bad" is refused.
    """

    url: str = ""
    told: deque[Reply | str] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go_on: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    most_inside: int = 0


def problem(status: int, detail: str, **headers: str) -> Reply:
    content = {"type": "about:blank", "title": "x", "status": status, "detail": detail}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/problem+json"} | named, _json(content)


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


def _restored(asked: Asked) -> Reply:
    accept = asked.headers["accept"]
    content, media_type = b"restored " + asked.body, accept
    if accept.startswith("application/json"):
        inner = accept.partition(", ")[2].partition(";")[0]
        embedded = {"media_type": inner, "base64": base64.b64encode(content).decode()}
        told = {"model": "sparnethd", "version": "ba9876543210", "width": 64, "height": 64}
        told |= {"faces": [FACE], "left": [{"confidence": 0.1, "reason": "blurred"}]}
        content, media_type = _json(told | {"picture": embedded}), "application/json"
    headers = {"Content-Type": media_type, "X-Sparnet-Faces": "1"}
    headers |= {"X-Sparnet-Model": "sparnethd", "X-Sparnet-Version": "ba9876543210"}
    return 200, headers, content


@contextlib.contextmanager
def running() -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            good = 200, {"Content-Type": "application/json"}, _json({"models": MODELS})
            self.reply(good if self.known() else problem(401, "no valid key"))

        def do_POST(self) -> None:
            with stub.lock:
                stub.inside += 1
                stub.most_inside = max(stub.most_inside, stub.inside)
            try:
                self.restore()
            finally:
                with stub.lock:
                    stub.inside -= 1

        def restore(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            url = urlsplit(self.path)
            options = {name: value for name, [value] in parse_qs(url.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(url.path, options, headers, body)
            with stub.lock:
                stub.asked.append(asked)
                told = stub.told.popleft() if stub.told else "good"
            stub.arrived.release()
            if told == "hangs up":
                self.close_connection = True
                return
            if told == "waits":
                stub.go_on.wait(_WAIT)
            if not self.known():
                told = problem(401, "no valid key")
            if body.startswith(b"bad"):
                told = problem(415, "what was sent is not a picture")
            self.reply(_restored(asked) if isinstance(told, str) else told)

        def known(self) -> bool:
            return self.headers["Authorization"] == f"Bearer {KEY}"

        def reply(self, reply: Reply) -> None:
            status, headers, content = reply
            with contextlib.suppress(OSError):  # the client has given up
                self.send_response(status)
                own = {"X-Request-Id": "id-1", "Content-Length": str(len(content))}
                for name, value in (own | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as stub.url:
        try:
            yield stub
        finally:
            stub.go_on.set()
