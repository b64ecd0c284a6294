"""A web server on loopback that misbehaves as told, one behaviour a request."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

from loopback import listening


@dataclass(frozen=True)
class Act:
    """How one request is answered; as it stands: properly."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    claim: int = 0
    ignore_range: bool = False
    ignore_if_range: bool = False
    no_length: bool = False
    hold: bool = False
    """Send what `break_after` allows, say so, and stay connected until the site is released."""


@dataclass
class Site:
    """Files by path, what is to go wrong with each, and what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    acts: dict[str, list[Act]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    validators: frozenset[str] = frozenset({"ETag"})
    url: str = ""
    holding: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def validated(self, content: bytes) -> dict[str, str]:
        digest = hashlib.sha256(content).hexdigest()
        told = {
            "ETag": f'"{digest[:16]}"',
            "Last-Modified": formatdate(int(digest[:8], 16) // 4, usegmt=True),
        }
        return {name: value for name, value in told.items() if name in self.validators}

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers, _ in self.requests]

    def statuses(self) -> list[int]:
        return [status for _, _, status in self.requests]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        acts = self.site.acts.get(path, [])
        act = acts.pop(0) if acts else Act()
        content = self.site.files.get(path)
        if act.status or content is None:
            self._send(act.status or 404, act.headers, b"", act)
            return
        told = self.site.validated(content)
        if self.headers.get("If-None-Match", "no") == told.get("ETag") or (
            self.headers.get("If-Modified-Since", "no") == told.get("Last-Modified")
        ):
            self._send(304, told, b"", act)
            return
        self._send_content(content, told, act)

    def _send_content(self, content: bytes, told: dict[str, str], act: Act) -> None:
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        same = condition is None or condition in told.values() or act.ignore_if_range
        if not asked or act.ignore_range or not same:
            self._send(200, told | act.headers, content, act)
            return
        start, size = int(asked[1]), len(content)
        if start >= size:
            self._send(416, {"Content-Range": f"bytes */{size}"}, b"", act)
            return
        part = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        self._send(206, told | part | act.headers, content[start:], act)

    def _send(self, status: int, headers: dict[str, str], body: bytes, act: Act) -> None:
        self.site.requests.append((self.path, dict(self.headers), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not act.no_length:
            self.send_header("Content-Length", str(len(body) + act.claim))
        self.end_headers()
        self.wfile.write(body[: act.break_after])
        if act.hold:
            self.site.holding.set()
            self.site.released.wait()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    with listening(handler) as site.url:
        try:
            yield site
        finally:
            site.released.set()
