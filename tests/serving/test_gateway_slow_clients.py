"""Clients that send slowly, read slowly, or not at all: what they hold, and for how long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import fake_torchserve
import gateway_thread
import numpy as np
import pytest
from gateway_thread import PNG, Gateway, problem

from serving.gateway import server
from serving.routes import Route
from sparnet import images

TWO_PLACES = [Route(main=gateway_thread.MODELS[1], capacity=2)]
LARGE = images.encode_png(np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), np.uint8))


@pytest.fixture(scope="module")
def generous() -> Iterator[fake_torchserve.FakeTorchServe]:
    """Answers with more than the buffers between two sockets hold."""
    with fake_torchserve.running(LARGE) as upstream:
        yield upstream


def begun(gateway: Gateway, length: int, body: bytes) -> socket.socket:
    """A connection on which a request with a body of `length` bytes has begun."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.connect(("127.0.0.1", gateway.port))
    connection.settimeout(10)
    connection.sendall(
        f"POST /v1/enhance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    return connection


def until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_sends_slowly_takes_no_place(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url, TWO_PLACES) as gateway:
        slow = [begun(gateway, len(PNG), PNG[:1]) for _ in range(4)]
        assert gateway.post(PNG).status_code == 200
        for connection in slow:
            connection.sendall(PNG[1:])
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()


def test_a_picture_that_was_on_its_way_before_sigterm_is_restored(upstream, tmp_path):
    with (
        gateway_thread.running(tmp_path, upstream.url) as gateway,
        begun(gateway, len(PNG), PNG[:1]) as slow,
    ):
        time.sleep(0.1)
        gateway.terminate()
        problem(gateway.post(PNG), 503)
        slow.sendall(PNG[1:])
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_an_answer_is_read_to_its_end_before_the_server_ends(generous, tmp_path):
    with gateway_thread.running(tmp_path, generous.url) as gateway:
        with begun(gateway, len(PNG), PNG) as slow:
            head = slow.recv(1000)
            assert head.startswith(b"HTTP/1.1 200")
            gateway.terminate()
            time.sleep(3)  # uvicorn itself grants 2 s
            assert gateway.thread.is_alive()
            rest = b"".join(iter(lambda: slow.recv(1 << 20), b""))
            assert (head + rest).endswith(LARGE)
        gateway.thread.join(10)
        assert not gateway.thread.is_alive()


def test_who_reads_nothing_is_cut_off_and_holds_nothing(generous, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_UNREAD_SECONDS", 0.3)
    with (
        gateway_thread.running(tmp_path, generous.url, held_bytes=3 * len(LARGE)) as gateway,
        begun(gateway, len(PNG), PNG) as deaf,
    ):
        until(lambda: b"HTTP/1.1 200" in deaf.recv(12, socket.MSG_PEEK))
        refused = gateway.post(PNG)
        assert "too much at once with this key" in problem(refused, 429)
        assert refused.headers["retry-after"] == "2"
        until(lambda: gateway.post(PNG).status_code == 200)


def test_bodies_on_their_way_are_counted(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url, held_bytes=4 * len(PNG)) as gateway:
        with (
            begun(gateway, 2 * len(PNG), bytes(len(PNG) + len(PNG) // 2)),
            ThreadPoolExecutor(1) as pool,
        ):
            until(lambda: pool.submit(gateway.post, PNG).result().status_code == 429)
        until(lambda: gateway.post(PNG).status_code == 200)
