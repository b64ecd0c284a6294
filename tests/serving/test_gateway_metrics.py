"""What the gateway counts, and how it is labelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import gateway_thread
import pytest
from gateway_thread import MODELS, PNG

from serving.gateway import keys
from serving.gateway.limits import Gate
from serving.gateway.metrics import Metrics, outcome
from serving.gateway.visit import Visit

MODEL = MODELS[0]
VERSION = f'model="{MODEL.name}",version="{MODEL.version}"'


def visit(**noted) -> Visit:
    return Visit("job-1", "POST", "/v1/enhance", **{"status": 200, "model": MODEL, **noted})


def lines(metrics: Metrics) -> list[str]:
    return metrics.text().decode().splitlines()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Gate())


@pytest.mark.parametrize("role", ["main", "canary"])
def test_a_request_is_counted_under_the_role_of_the_version_that_answered(metrics, role):
    metrics.observe(visit(role=role))
    labels = f'model="sparnet",outcome="ok",role="{role}",version="{MODEL.version}"'
    assert f"sparnet_request_seconds_count{{{labels}}} 1.0" in lines(metrics)


def test_the_queue_is_what_the_handler_did_not_use_of_the_upstream_time(metrics):
    metrics.observe(visit(upstream_seconds=0.75, handler_seconds=0.5))
    assert f"sparnet_upstream_seconds_sum{{{VERSION}}} 0.75" in lines(metrics)
    assert f"sparnet_queue_seconds_sum{{{VERSION}}} 0.25" in lines(metrics)


def test_clocks_that_disagree_make_no_negative_queue(metrics):
    metrics.observe(visit(upstream_seconds=0.5, handler_seconds=0.75))
    assert f"sparnet_queue_seconds_sum{{{VERSION}}} 0.0" in lines(metrics)


def test_without_the_handlers_time_there_is_no_queue(metrics):
    metrics.observe(visit(status=504, upstream_seconds=120.0))
    assert f"sparnet_upstream_seconds_count{{{VERSION}}} 1.0" in lines(metrics)
    assert not [line for line in lines(metrics) if line.startswith("sparnet_queue_seconds_count")]


def test_a_picture_that_never_left_the_gateway_has_no_upstream_time(metrics):
    metrics.observe(visit(status=415))
    assert not [line for line in lines(metrics) if line.startswith("sparnet_upstream_seconds_c")]


def test_the_time_upstream_is_noted_though_it_fails():
    noted = visit()
    with pytest.raises(ValueError, match="failed"), noted.upstream():
        raise ValueError("failed")
    assert noted.upstream_seconds is not None


def test_a_shadow_version_counts_apart_and_answers_nobody(metrics):
    metrics.observe_shadow(MODEL, 200, 0.5, 1.5)
    metrics.observe_shadow(MODEL, 503, 0.5)
    told = lines(metrics)
    for result in ("ok", "failed"):
        labels = f'model="sparnet",outcome="{result}",role="shadow",version="{MODEL.version}"'
        assert f"sparnet_request_seconds_count{{{labels}}} 1.0" in told
    assert f"sparnet_shadow_difference_sum{{{VERSION}}} 1.5" in told
    assert f"sparnet_shadow_difference_count{{{VERSION}}} 1.0" in told
    assert not [line for line in told if line.startswith("sparnet_answers_total")]


def test_requests_in_flight_are_counted_by_version_until_they_end(metrics):
    with metrics.inside(MODEL), metrics.inside(MODEL):
        assert f"sparnet_in_flight_by_version{{{VERSION}}} 2.0" in lines(metrics)
    with pytest.raises(ValueError, match="failed"), metrics.inside(MODEL):
        raise ValueError("failed")
    assert f"sparnet_in_flight_by_version{{{VERSION}}} 0.0" in lines(metrics)


def test_every_status_is_one_of_five_outcomes():
    outcomes = {outcome(status) for status in range(100, 600)}
    assert outcomes == {"ok", "refused", "limited", "timeout", "failed"}


def scraped(gateway, admin: str) -> list[str]:
    headers = {"Authorization": f"Bearer {admin}"}
    return gateway.client.get("/metrics", headers=headers).text.splitlines()


def test_what_a_client_writes_makes_no_series(upstream, tmp_path):
    with gateway_thread.running(tmp_path, upstream.url) as gateway:
        admin = keys.add(gateway.keys, "prometheus", ["admin"])

        def series_after(number: int) -> set[str]:
            gateway.post(PNG, f"/v1/enhance?model=sparnet&x{number}=1")
            gateway.post(PNG, f"/v1/enhance?model=sparnet{number}", X_Request_Id=f"job-{number}")
            gateway.client.get(f"/nothing/{number}", headers={"User-Agent": f"agent-{number}"})
            scraped(gateway, admin)  # itself an answer, counted after it
            return {line.rpartition(" ")[0] for line in scraped(gateway, admin)}

        assert series_after(1) == series_after(2)


def test_the_gateway_tells_who_is_inside_and_how_long_torchserve_took(upstream, tmp_path):
    upstream.told.append("waits")
    with (
        gateway_thread.running(tmp_path, upstream.url) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        admin = keys.add(gateway.keys, "prometheus", ["admin"])
        answer = pool.submit(gateway.post, PNG, "/v1/enhance?model=sparnet")
        assert upstream.arrived.acquire(timeout=10)
        inside = f"sparnet_in_flight_by_version{{{VERSION}}}"
        assert f"{inside} 1.0" in scraped(gateway, admin)
        upstream.go_on.set()
        assert answer.result().status_code == 200
        told = scraped(gateway, admin)
    assert f"{inside} 0.0" in told
    assert f"sparnet_upstream_seconds_count{{{VERSION}}} 1.0" in told
