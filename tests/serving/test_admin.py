"""The supervisor's own interface: whom it lets in, and what it reads of whom it does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from serving.control.admin import Admin
from serving.control.audit import Audit
from serving.gateway import keys
from serving.gateway.keys import KeyRing


class NothingServed:
    def status(self) -> list[object]:
        return []


@pytest.fixture
def address(tmp_path) -> Iterator[tuple[str, int]]:
    keys.add(tmp_path / "keys.json", "anybody", ["infer"])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    ring, audit = KeyRing(tmp_path / "keys.json"), Audit(tmp_path / "audit.jsonl")
    admin = Admin(NothingServed(), ring, audit, listener)  # type: ignore[arg-type]
    yield listener.getsockname()
    admin.stop()


@pytest.fixture
def client(address) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", trust_env=False) as client:
        yield client


def authorization(folder, scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.add(folder / 'keys.json', 'test', [scope])}"}


def test_only_a_key_for_it_opens_it(client, tmp_path):
    assert client.get("/v1/status").status_code == 401
    assert client.get("/v1/status", headers={"Authorization": "Bearer no.body"}).status_code == 401
    assert client.get("/v1/status", headers=authorization(tmp_path, "infer")).status_code == 403
    answer = client.get("/v1/status", headers=authorization(tmp_path, "admin"))
    assert (answer.status_code, answer.json()) == (200, {"models": []})


def test_a_stranger_is_refused_before_his_body_is_read(address):
    with socket.create_connection(address, timeout=10) as connection:
        head = "POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_an_order_is_short_and_says_how_short(client, tmp_path):
    headers = authorization(tmp_path, "admin")
    long = client.post("/v1/deploy", content=b" " * 70_000, headers=headers)
    assert long.status_code == 413
    in_pieces = client.post("/v1/deploy", content=iter([b"{}"]), headers=headers)
    assert in_pieces.status_code == 411
    assert client.post("/v1/deploy", content=b"{}", headers=headers).status_code == 422
