"""S3 servers on loopback: rclone's, and one that misbehaves as told."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

import pytest
from loopback import listening

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
PAGE = 4


def rclone_program() -> str | None:
    """Where rclone is: beside this Python, or on the PATH."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("rclone", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


def give_keys(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The servers' keys where boto3 looks first, and nothing of the person who runs the tests."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(folder / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@contextmanager
def rclone(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of `rclone serve s3` over `folder`, whose folders are the buckets."""
    program = rclone_program()
    assert program is not None
    with socket.create_server(("127.0.0.1", port)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [program, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", address, folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert any("Starting s3 server" in line for line in server.stderr)
            yield f"http://{address}"
        finally:
            server.terminate()


@dataclass
class Objects:
    """The objects of the bucket `faces`, what is to go wrong with each, and what was asked.

    A fault is a number of bytes after which the connection breaks, or an HTTP status.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    breaks: dict[str, list[int]] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    gets: list[tuple[str, str | None]] = field(default_factory=list)
    public: bool = False
    ignores_ranges: bool = False
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    objects: Objects

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        bucket, _, key = address.path.lstrip("/").partition("/")
        if not self.objects.public and KEY not in self.headers.get("Authorization", ""):
            self._fail(403, "AccessDenied")
        elif bucket != "faces":
            self._fail(404, "NoSuchBucket")
        elif key:
            self._get(next(name for name in self.objects.files if quote(name) == key))
        else:
            self._list({name: values[0] for name, values in parse_qs(address.query).items()})

    def _list(self, query: dict[str, str]) -> None:
        keys = sorted(key for key in self.objects.files if key.startswith(query.get("prefix", "")))
        start = int(query.get("continuation-token", 0))
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects.files[key])}</Size>"
            f"<ETag>{_etag(self.objects.files[key])}</ETag></Contents>"
            for key in keys[start : start + PAGE]
        )
        more = start + PAGE < len(keys)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        xml = f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>"
        self._send(200, {}, xml.encode())

    def _get(self, key: str) -> None:
        content = self.objects.files[key]
        asked = self.headers.get("Range")
        self.objects.gets.append((key, asked))
        if statuses := self.objects.statuses.get(key):
            status = statuses.pop(0)
            self._fail(status, "PreconditionFailed" if status == 412 else "SlowDown")
            return
        if self.headers.get("If-Match", _etag(content)) != _etag(content):
            self._fail(412, "PreconditionFailed")
            return
        headers, status = {"ETag": _etag(content)}, 200
        if asked and not self.objects.ignores_ranges:
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            assert found is not None
            first, last = int(found[1]), int(found[2])
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        breaks = self.objects.breaks.get(key)
        self._send(status, headers, content, breaks.pop(0) if breaks else None)

    def _fail(self, status: int, code: str) -> None:
        self._send(status, {}, f"<Error><Code>{code}</Code></Error>".encode())

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, break_after: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:break_after])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


@contextmanager
def misbehaving() -> Iterator[Objects]:
    objects = Objects()
    handler = type("Handler", (_Handler,), {"objects": objects})
    with listening(handler) as objects.url:
        yield objects
