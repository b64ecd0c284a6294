"""The client of the project before the gateway of the project."""

from __future__ import annotations

import pytest
from gateway_thread import PNG

from sparnet.remote import Client, Patience, Refused


@pytest.fixture
def client(gateway):
    with Client(f"http://127.0.0.1:{gateway.port}", gateway.key) as client:
        yield client


def test_a_picture_comes_back_with_who_restored_it(client):
    answer = client.enhance(PNG, model="sparnet", aligned=True)
    assert (answer.picture, answer.media_type, answer.count) == (PNG, "image/png", 1)
    assert (answer.model, answer.version) == ("sparnet", "0123456789ab")
    assert client.enhance(PNG, media_type="image/webp").media_type == "image/webp"


def test_the_models_are_told(client):
    assert [model.name for model in client.models()] == ["sparnet", "sparnethd"]
    assert [model.default for model in client.models()] == [False, True]


def test_a_full_queue_is_waited_for(client, upstream):
    upstream.told.append("queue full")
    assert client.enhance(PNG).picture == PNG
    assert len(upstream.asked) == 2


@pytest.mark.parametrize(
    ("picture", "status", "told"),
    [(b"not a picture", 415, "not a picture"), (b"x" * 200_000, 413, "100000 bytes at most")],
)
def test_a_refusal_says_why_and_who_knows_more(client, picture, status, told):
    with pytest.raises(Refused, match=told) as refused:
        client.enhance(picture)
    assert refused.value.status == status
    assert refused.value.request_id


def test_a_key_of_nobody_is_told(gateway):
    once = Patience(attempts=1)
    with (
        Client(f"http://127.0.0.1:{gateway.port}", "no.body", patience=once) as client,
        pytest.raises(Refused) as refused,
    ):
        client.models()
    assert refused.value.status == 401
