"""The gateway before a TorchServe that misbehaves as told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import gateway_thread
import pytest
from gateway_thread import PNG, lead, problem

from serving.gateway import keys, server
from serving.routes import Route

ONE_PLACE = Route(main=gateway_thread.MODELS[1], capacity=1)


@pytest.mark.parametrize(
    ("misdeed", "status", "told"),
    [
        ("queue full", 429, "busy"),
        ("prediction failed", 500, "not restored"),
        ("batch out of memory", 503, "out of memory"),
        ("out of memory", 503, "out of memory"),
        ("handler failed", 500, "not restored"),
        ("no frame", 500, "not restored"),
        ("no picture", 500, "not restored"),
        ("no face", 422, "/v1/faces"),
        ("damaged", 422, "damaged picture"),
        ("answer too large", 413, "too large"),
    ],
)
def test_what_torchserve_says_gets_its_right_status(gateway, upstream, misdeed, status, told):
    upstream.told.append(misdeed)
    answer = gateway.post(PNG)
    assert told in problem(answer, status)
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("misdeed", ["worker died", "hangs up", "unknown token", "unknown model"])
def test_a_picture_over_which_a_worker_died_is_sent_once_more(gateway, upstream, misdeed):
    upstream.told.append(misdeed)
    assert gateway.post(PNG).status_code == 200
    assert [body for _, _, body in upstream.asked] == [PNG, PNG]


def test_a_picture_over_which_two_workers_died_is_not_sent_again(gateway, upstream):
    upstream.told.extend(["worker died", "worker died"])
    answer = gateway.post(PNG)
    problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert len(upstream.asked) == 2


def test_a_picture_that_went_with_its_worker_is_sent_once_more(upstream, tmp_path):
    """TorchServe does not always tell that a worker died: what it had taken may be forgotten."""
    with (
        gateway_thread.running(tmp_path, upstream.url) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        lead(gateway.routes, upstream.url, sparnethd=(1, 2))
        upstream.told.append("waits")
        answer = pool.submit(gateway.post, PNG)
        assert upstream.arrived.acquire(timeout=10)
        lead(gateway.routes, upstream.url, sparnethd=(1, 2, 3))
        lead(gateway.routes, upstream.url, sparnethd=(1, 3))
        assert answer.result().status_code == 200
        upstream.go_on.set()
    assert [body for _, _, body in upstream.asked] == [PNG, PNG]


def test_a_lost_picture_waits_for_a_place_in_a_full_queue(gateway, upstream):
    upstream.told.extend(["worker died", "queue full", "queue full"])
    assert gateway.post(PNG).status_code == 200
    assert len(upstream.asked) == 4


def test_without_a_worker_the_model_is_not_busy_but_starting(upstream, tmp_path):
    """TorchServe says the same of both."""
    with gateway_thread.running(tmp_path, upstream.url) as gateway:
        lead(gateway.routes, upstream.url, sparnethd=())
        upstream.told.extend(["queue full"] * 2)
        answer = gateway.post(PNG)
        assert "starting again" in problem(answer, 503)
        assert answer.headers["retry-after"] == "2"
        upstream.told.extend(["good", "queue full", "queue full"])
        assert "sparnethd" in problem(gateway.client.get("/readyz"), 503)


def test_without_torchserve_clients_are_told_to_come_back(tmp_path):
    with gateway_thread.running(tmp_path, "http://127.0.0.1:9") as gateway:
        answer = gateway.post(PNG)
        problem(answer, 503)
        assert answer.headers["retry-after"] == "2"
        assert "starting again" in problem(gateway.client.get("/readyz"), 503)
        assert gateway.client.get("/livez").status_code == 200


def test_an_answer_after_the_deadline_is_a_timeout(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url, deadline_seconds=0.05) as gateway:
        upstream.told.append("waits")
        problem(gateway.post(PNG), 504)
        upstream.go_on.set()


def test_a_body_that_does_not_arrive_is_given_up(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url, upload_seconds=0.05) as gateway:
        head = f"POST /v1/enhance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n"
        answer = gateway.raw(head.encode() + b"Content-Length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_brings_no_request_is_closed(upstream, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_KEEP_ALIVE_SECONDS", 0.1)
    with gateway_thread.running(tmp_path, upstream.url) as gateway:
        assert gateway.raw(b"") == b""
        assert gateway.raw(b"GET /livez HTTP/1.1\r\nHost:") == b""
        whole = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        assert gateway.raw(whole + b"G").startswith(b"HTTP/1.1 200 ")
        assert gateway.post(PNG).status_code == 200


def test_more_requests_at_once_than_places_are_asked_to_come_back(upstream, tmp_path):
    with (
        gateway_thread.running(tmp_path, upstream.url, [ONE_PLACE]) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        upstream.told.append("waits")
        first = pool.submit(gateway.post, PNG)
        assert upstream.arrived.acquire(timeout=10)
        refused = gateway.post(PNG)
        problem(refused, 429)
        assert refused.headers["retry-after"] == "2"
        upstream.go_on.set()
        assert first.result().status_code == 200
        assert gateway.post(PNG).status_code == 200


def test_a_key_has_a_rate_and_others_are_not_touched_by_it(upstream, tmp_path):
    with gateway_thread.running(
        tmp_path, upstream.url, requests_per_second=0.01, burst=2
    ) as gateway:
        answers = [gateway.post(PNG) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "too many requests" in problem(answers[2], 429)
        assert 90 <= int(answers[2].headers["retry-after"]) <= 100
        other = keys.add(gateway.keys, "other", ["infer"])
        assert gateway.post(PNG, Authorization=f"Bearer {other}").status_code == 200


def test_what_is_inside_is_finished_and_nothing_new_is_let_in_after_sigterm(upstream, tmp_path):
    with (
        gateway_thread.running(tmp_path, upstream.url) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        upstream.told.append("waits")
        inside = pool.submit(gateway.post, PNG)
        assert upstream.arrived.acquire(timeout=10)
        gateway.terminate()
        assert "stopping" in problem(gateway.client.get("/readyz"), 503)
        refused = gateway.post(PNG)
        assert "stopping" in problem(refused, 503)
        assert refused.headers["retry-after"] == "2"
        upstream.go_on.set()
        assert inside.result().status_code == 200
        gateway.thread.join(10)
        assert not gateway.thread.is_alive()


@pytest.mark.parametrize(("drain_seconds", "signals"), [(0.1, 1), (60.0, 2)])
def test_patience_with_what_is_inside_has_an_end(upstream, tmp_path, drain_seconds, signals):
    with (
        gateway_thread.running(tmp_path, upstream.url, drain_seconds=drain_seconds) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        upstream.told.append("waits")
        pool.submit(gateway.post, PNG)
        assert upstream.arrived.acquire(timeout=10)
        for _ in range(signals):
            gateway.terminate()
        gateway.thread.join(10)
        assert not gateway.thread.is_alive()
        upstream.go_on.set()


def test_nothing_of_the_client_but_the_picture_reaches_torchserve(gateway, upstream):
    plain = gateway.post(PNG)
    gateway.client.post(
        "/v1/enhance?model=sparnethd",
        files={"picture": ('evil"\r\nX-Evil: 1', PNG, "image/png\r\nX-Evil: 1")},
        headers={
            "X-Request-Id": "evil-1",
            "X-Sparnet-Options": '{"aligned":true}',
            "Describe": "True",
            "User-Agent": "evil",
            "Cookie": "evil=1",
            "Accept": "image/png;evil=1",
            "Transfer-Encoding": "chunked",
        },
    )
    assert plain.status_code == 200
    (_, ordinary, _), (path, adorned, body) = upstream.asked
    assert adorned == ordinary
    assert dict(adorned)["Authorization"] == "Bearer inference-token"
    assert (path, body) == ("/predictions/sparnethd/ba9876543210", PNG)


def test_two_requests_in_one_are_refused(gateway, upstream):
    head = f"POST /v1/enhance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n"
    smuggled = b"0\r\n\r\nPOST /v1/enhance HTTP/1.1\r\n\r\n"
    both = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    gateway.raw(head.encode() + both % len(smuggled) + smuggled)
    for lengths in (b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: +1"):
        assert b" 400 " in gateway.raw(head.encode() + lengths + b"\r\n\r\nab")[:20]
    assert not upstream.asked


def test_readiness_is_a_restored_picture_and_is_remembered_for_a_while(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url) as gateway:
        for _ in range(3):
            assert gateway.client.get("/readyz").json()["status"] == "ready"
        assert [path for path, _, _ in upstream.asked] == [
            "/predictions/sparnet/0123456789ab",
            "/predictions/sparnethd/ba9876543210",
        ]
        upstream.told.append("prediction failed")
        gateway.post(PNG)
        upstream.told.append("prediction failed")
        assert "sparnethd: the picture was not" in problem(gateway.client.get("/readyz"), 503)
        gateway.post(PNG)
        asked = len(upstream.asked)
        assert gateway.client.get("/readyz").status_code == 200
        assert len(upstream.asked) == asked


def test_the_metrics_tell_models_versions_and_outcomes(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url) as gateway:
        upstream.told.extend(["good", "queue full", "no face"])
        for _ in range(3):
            gateway.post(PNG)
        problem(gateway.client.get("/metrics"), 403)
        admin = keys.add(gateway.keys, "prometheus", ["admin"])
        answer = gateway.client.get("/metrics", headers={"Authorization": f"Bearer {admin}"})
    labels = 'model="sparnethd",outcome="{}",role="main",version="ba9876543210"'
    for outcome in ("ok", "limited", "refused"):
        line = f"sparnet_request_seconds_count{{{labels.format(outcome)}}} 1.0"
        assert line in answer.text.splitlines()
    assert "sparnet_in_flight 0.0" in answer.text.splitlines()
