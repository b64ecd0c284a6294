from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from stub import FACE, KEY, MODELS, Stub, problem

from sparnet.errors import UserError
from sparnet.remote import Client, Left, NotReached, Patience, Refused, RemoteError, client


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, were it not for the test."""
    waited: list[float] = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=waited.append))
    return waited


@pytest.fixture
def remote(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, KEY, patience=Patience(attempts=4)) as remote:
        yield remote


def test_a_picture_comes_back_with_who_restored_it(stub, remote):
    answer = remote.enhance(b"picture")
    assert (answer.picture, answer.media_type) == (b"restored picture", "image/png")
    assert (answer.model, answer.version) == ("sparnethd", "ba9876543210")
    assert (answer.count, answer.request_id, answer.faces) == (1, "id-1", None)
    [asked] = stub.asked
    assert (asked.path, asked.options) == ("/v1/enhance", {})


def test_every_wish_reaches_the_server(stub, remote):
    wishes = {"model": "sparnet", "upscale": 2, "min_confidence": 0.5}
    flags = dict.fromkeys(("aligned", "match_colour", "small_faces", "turned_faces"), True)
    remote.enhance(b"picture", media_type="image/webp", **wishes, **flags)
    [asked] = stub.asked
    assert asked.options == {name: str(value) for name, value in wishes.items()} | dict.fromkeys(
        flags, "true"
    )
    assert asked.headers["accept"] == "image/webp"


def test_details_tell_of_each_face(remote):
    answer = remote.enhance(b"picture", media_type="image/jpeg", details=True)
    assert (answer.picture, answer.media_type) == (b"restored picture", "image/jpeg")
    [face] = answer.faces
    assert face.box == tuple(FACE["box"])
    assert face.points == tuple(map(tuple, FACE["points"]))
    assert (face.score, face.confidence, face.reason) == (0.9, 0.8, None)
    assert answer.left == (Left(0.1, "blurred"),)


def test_models_are_listed(remote):
    sparnet, hd = remote.models()
    assert vars(sparnet) == MODELS[0]
    assert (hd.name, hd.default, hd.side) == ("sparnethd", True, 512)


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_come_back_does_so_then(stub, remote, waits, status):
    stub.told += [problem(status, "busy", Retry_After="3"), problem(status, "busy")]
    assert remote.enhance(b"picture").picture == b"restored picture"
    assert [asked.body for asked in stub.asked] == [b"picture"] * 3
    told, untold = waits
    assert told >= 3
    assert untold < 3


def test_a_broken_connection_is_tried_again(stub, remote, waits):
    stub.told += ["hangs up", "hangs up"]
    assert remote.enhance(b"picture").picture == b"restored picture"
    assert len(waits) == 2


def test_who_is_never_let_in_is_told_why(stub, remote, waits):
    stub.told += [problem(429, "everything is busy", Retry_After="1")] * 4
    with pytest.raises(Refused, match=r"everything is busy \(429, request id-1\)"):
        remote.enhance(b"picture")
    assert (len(stub.asked), len(waits)) == (4, 3)


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 422, 500, 504])
def test_any_other_refusal_is_final(stub, remote, waits, status):
    stub.told.append(problem(status, "no face in it", Retry_After="1"))
    with pytest.raises(Refused) as refused:
        remote.enhance(b"picture")
    error = refused.value
    assert (error.status, error.detail, error.request_id) == (status, "no face in it", "id-1")
    assert isinstance(error, UserError)
    assert not waits


def test_no_server_is_one_line_after_some_attempts(waits):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, KEY, patience=Patience(attempts=3)) as remote, pytest.raises(NotReached) as no:
        remote.models()
    assert str(no.value).startswith(f"{url}: no answer (")
    assert no.value.status is None
    assert len(waits) == 2


def test_an_answer_that_does_not_come_in_time_is_not_asked_for_again(stub, waits):
    stub.told.append("waits")
    with Client(stub.url, KEY, timeout=0.1) as remote, pytest.raises(NotReached, match="timed out"):
        remote.enhance(b"picture")
    assert not waits


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"Content-Type": "text/html"}, b"<html>"),
        (200, {"Content-Type": "image/png"}, b"of somebody else"),
        (200, {"Content-Type": "application/json"}, b"{}"),
        (200, {"Content-Type": "application/json"}, b"[]"),
        (200, {"Content-Type": "application/json"}, b"{"),
    ],
)
def test_what_is_no_answer_of_such_a_server_is_told(stub, remote, reply):
    stub.told.append(reply)
    with pytest.raises(RemoteError, match="not the answer of a SPARNet server"):
        remote.enhance(b"picture", details=True)


def test_what_a_server_writes_stays_one_line(stub, remote):
    stub.told += [problem(400, "a\r\n\x1b[2Jb"), (502, {"Content-Type": "text/html"}, b"<html>")]
    for told in ("a [2Jb", "Bad Gateway"):
        with pytest.raises(Refused) as refused:
            remote.enhance(b"picture")
        assert refused.value.detail == told


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://a", "http://", "http://a:b"])
def test_what_is_no_url_is_refused_at_once(url):
    with pytest.raises(UserError, match="not a URL of a server"):
        Client(url, KEY)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "schlüssel"])
def test_what_is_no_key_is_refused_at_once_and_not_shown(key):
    with pytest.raises(UserError, match="the key is not one; it is a line"):
        Client("http://127.0.0.1:1", key)


def test_variables_of_the_environment_do_not_count(stub, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with Client(stub.url, KEY) as fresh:
        assert fresh.enhance(b"picture").count == 1
