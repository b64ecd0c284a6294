"""The gateway in front of a TorchServe that misbehaves as told."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import fake_torchserve
import gateway_thread
import numpy as np
import pytest
from fake_torchserve import FakeTorchServe
from gateway_thread import Gateway
from PIL import Image

from serving.gateway import keys
from sparnet import images

PNG = images.encode_png(np.arange(48 * 48 * 3, dtype=np.uint32).reshape(48, 48, 3).astype(np.uint8))


@pytest.fixture(scope="module")
def upstream_server() -> Iterator[FakeTorchServe]:
    with fake_torchserve.running(PNG) as server:
        yield server


@pytest.fixture
def upstream(upstream_server) -> FakeTorchServe:
    upstream_server.told.clear()
    upstream_server.asked.clear()
    upstream_server.go_on.clear()
    while upstream_server.arrived.acquire(blocking=False):
        pass
    return upstream_server


@pytest.fixture(scope="module")
def shared_gateway(upstream_server, tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_thread.running(folder, upstream_server.url, max_body_bytes=100_000) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway: Gateway, upstream: FakeTorchServe) -> Gateway:
    """The shared one, in front of a TorchServe that has forgotten what went before."""
    assert not upstream.asked
    return shared_gateway


def problem(answer, status: int) -> str:
    """The detail of a well-formed problem of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert content["request_id"] == answer.headers["x-request-id"]
    return content["detail"]


def animation() -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def bomb(side: int) -> bytes:
    """A PNG that says how large it is, with no pixel behind."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), b"IDAT")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


def test_a_picture_comes_back_with_who_restored_it(gateway, upstream):
    answer = gateway.post(PNG)
    assert answer.status_code == 200
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-sparnet-faces"] == "1"
    assert answer.headers["x-sparnet-model"] == "sparnethd"
    assert answer.headers["x-sparnet-version"] == "ba9876543210"
    [(path, headers, body)] = upstream.asked
    assert path == "/predictions/sparnethd/ba9876543210"
    assert dict(headers)["X-Sparnet-Aligned"] == "0"
    assert body == PNG


@pytest.mark.parametrize(
    "path", ["/v1/faces?model=sparnet", "/v1/enhance?model=sparnet&aligned=true"]
)
def test_an_aligned_face_is_asked_for_as_one(gateway, upstream, path):
    assert gateway.post(PNG, path).status_code == 200
    [(path, headers, _)] = upstream.asked
    assert path == "/predictions/sparnet/0123456789ab"
    assert dict(headers)["X-Sparnet-Aligned"] == "1"


def test_a_picture_may_be_put_as_curl_does(gateway):
    assert gateway.client.put("/v1/enhance", content=PNG).status_code == 200


def test_a_form_may_carry_the_picture(gateway, upstream):
    form = {"picture": ("my face.png", PNG, "image/png"), "note": (None, "\r\n--x")}
    answer = gateway.client.post("/v1/enhance", files=form)
    assert answer.status_code == 200
    assert upstream.asked[0][2] == PNG


@pytest.mark.parametrize(
    ("form", "content_type", "told"),
    [
        (b"", "multipart/form-data", "boundary is missing"),
        (b"", "multipart/form-data; boundary=" + "x" * 71, "boundary is missing"),
        (b"", "multipart/form-data; boundary=x", "does not end"),
        (b"--x\r\nA: b\r\n\r\nfoo", "multipart/form-data; boundary=x", "does not end"),
        (b"--x\r\nfoo\r\n--x--", "multipart/form-data; boundary=x", "part has no header"),
        (b"--x\r\nA: b\r\n\r\nfoo\r\n--x--", "multipart/form-data; boundary=x", "picture once"),
        (b"--x\r\nA: b\r\n\r\n\r\n" * 20 + b"--x--", "multipart/form-data; boundary=x", "too many"),
    ],
)
def test_a_broken_form_is_refused(gateway, upstream, form, content_type, told):
    assert told in problem(gateway.post(form, Content_Type=content_type), 422)
    assert not upstream.asked


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "image/png"),
        ("image/*;q=0.5, image/jpeg", "image/jpeg"),
        ("text/html, image/webp", "image/webp"),
        ("image/png;q=0.1, image/jpeg;q=0.2, image/webp;q=0.3", "image/webp"),
        ("image/png;q=0, */*", "image/webp"),
        ("IMAGE/JPEG; Q=1.0", "image/jpeg"),
    ],
)
def test_the_answer_has_the_format_that_is_liked_best(gateway, accept, media_type):
    answer = gateway.post(PNG, Accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["vary"] == "Accept"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert Image.MIME[image.format] == media_type
        assert image.size == (48, 48)
        assert not image.getexif()
        assert not set(image.info) & {"exif", "icc_profile", "xmp", "comment", "Software"}


@pytest.mark.parametrize("accept", ["text/html", "image/*;q=0", "image/avif", "image/png;q=x"])
def test_no_format_that_fits_is_not_acceptable(gateway, upstream, accept):
    assert "image/png, image/webp, image/jpeg" in problem(gateway.post(PNG, Accept=accept), 406)
    assert not upstream.asked


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"not a picture", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (bomb(1001), 413),
        (bomb(30_000), 413),
        (animation(), 422),
    ],
    ids=["empty", "text", "svg", "large", "bomb", "frames"],
)
def test_what_is_no_picture_for_a_model_does_not_reach_torchserve(gateway, upstream, body, status):
    problem(gateway.post(body), status)
    assert not upstream.asked


@pytest.mark.parametrize("body", [b"x" * 100_001, (b"x" * 10_000 for _ in range(2_000))])
def test_a_body_is_read_to_its_limit_only_however_it_is_sent(gateway, upstream, body):
    """The second is sent in chunks, without a Content-Length, and goes on after the answer."""
    assert "100000 bytes at most" in problem(gateway.post(body), 413)
    assert not upstream.asked


def test_a_picture_in_a_form_has_the_same_limit(gateway):
    form = {"picture": ("face.png", b"x" * 100_001)}
    problem(gateway.client.post("/v1/enhance", files=form), 413)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json"},
        {"Content_Encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused(gateway, headers):
    problem(gateway.post(PNG, **headers), 415)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("model=vgg", "model: is one of sparnet, sparnethd"),
        ("aligned=maybe", "aligned: "),
        ("colour=1", "colour: "),
    ],
)
def test_a_wrong_parameter_is_named(gateway, query, told):
    assert problem(gateway.post(PNG, f"/v1/enhance?{query}"), 422).startswith(told)


def test_unknown_paths_and_methods_are_problems_too(gateway):
    problem(gateway.client.get("/predictions/sparnet"), 404)
    answer = gateway.client.get("/v1/enhance")
    problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) <= {"POST", "PUT"}


@pytest.mark.parametrize(
    ("misdeed", "status", "told"),
    [
        ("queue full", 429, "busy"),
        ("prediction failed", 500, "not restored"),
        ("batch out of memory", 503, "out of memory"),
        ("out of memory", 503, "out of memory"),
        ("handler failed", 500, "not restored"),
        ("not a picture", 500, "not restored"),
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


@pytest.mark.parametrize("misdeed", ["worker died", "hangs up"])
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


def test_more_requests_at_once_than_places_are_asked_to_come_back(upstream, tmp_path):
    with (
        gateway_thread.running(tmp_path, upstream.url, max_in_flight=1) as gateway,
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


def test_patience_with_what_is_inside_has_an_end(upstream, tmp_path):
    with (
        gateway_thread.running(tmp_path, upstream.url, drain_seconds=0.1) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        upstream.told.append("waits")
        pool.submit(gateway.post, PNG)
        assert upstream.arrived.acquire(timeout=10)
        gateway.terminate()
        gateway.terminate()
        gateway.thread.join(10)
        assert not gateway.thread.is_alive()
        upstream.go_on.set()


@pytest.mark.parametrize("given", ["a", "job-17_b.c", "A" * 64])
def test_a_safe_request_id_is_kept(gateway, given):
    assert gateway.post(PNG, X_Request_Id=given).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "-", "a b", "a" * 65, "<script>", "a;b", "\xfc"])
def test_another_request_id_is_replaced(gateway, given):
    answer = gateway.client.get("/livez", headers={"X-Request-Id": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_nothing_of_the_client_but_the_picture_reaches_torchserve(gateway, upstream):
    plain = gateway.post(PNG)
    gateway.client.post(
        "/v1/enhance?model=sparnethd",
        files={"picture": ('evil"\r\nX-Evil: 1', PNG, "image/png\r\nX-Evil: 1")},
        headers={
            "X-Request-Id": "evil-1",
            "X-Sparnet-Aligned": "1",
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


def test_line_breaks_in_parameters_reach_no_header(gateway):
    answer = gateway.post(PNG, "/v1/enhance?model=x%0d%0aX-Evil:%201&a%0d%0aX-Evil:b=1")
    problem(answer, 422)
    assert "x-evil" not in answer.headers


def test_two_requests_in_one_are_refused(gateway, upstream):
    head = f"POST /v1/enhance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n"
    smuggled = b"0\r\n\r\nPOST /v1/enhance HTTP/1.1\r\n\r\n"
    both = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    gateway.raw(head.encode() + both % len(smuggled) + smuggled)
    for lengths in (b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: +1"):
        assert b" 400 " in gateway.raw(head.encode() + lengths + b"\r\n\r\nab")[:20]
    assert not upstream.asked


def test_every_answer_has_the_security_headers(gateway):
    for answer in (gateway.post(PNG), gateway.client.get("/livez"), gateway.client.get("/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_the_models_are_listed(gateway):
    listed = gateway.client.get("/v1/models").json()["models"]
    assert [(item["name"], item["default"]) for item in listed] == [
        ("sparnet", False),
        ("sparnethd", True),
    ]
    assert listed[0]["version"] == "0123456789ab"


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
    labels = 'model="sparnethd",outcome="{}",version="ba9876543210"'
    for outcome in ("ok", "limited", "refused"):
        line = f"sparnet_request_seconds_count{{{labels.format(outcome)}}} 1.0"
        assert line in answer.text.splitlines()
    assert "sparnet_in_flight 0.0" in answer.text.splitlines()


def test_the_interface_describes_itself_with_examples(gateway):
    described = gateway.client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/enhance", "/v1/faces", "/v1/models", "/livez", "/readyz", "/metrics",
    }  # fmt: skip
    enhance = described["paths"]["/v1/enhance"]["post"]
    assert set(enhance["responses"]["200"]["content"]) == {"image/png", "image/webp", "image/jpeg"}
    assert {parameter["name"] for parameter in enhance["parameters"]} == {"model", "aligned"}
    assert "multipart/form-data" in enhance["requestBody"]["content"]
    for status in ("401", "403", "413", "415", "422", "429", "503", "504"):
        [content] = enhance["responses"][status]["content"].values()
        assert content["example"]["status"] == int(status)
    assert enhance["security"]


def test_the_log_tells_of_requests_and_nothing_of_pictures_and_keys(gateway, caplog):
    caplog.set_level("INFO", "sparnet.gateway")
    gateway.post(PNG, "/v1/enhance?model=sparnet", X_Request_Id="job-1")
    fields = caplog.records[-1].fields
    assert fields.pop("ms") > 0
    identity, _, secret = gateway.key.partition(".")
    assert fields == {
        "request_id": "job-1",
        "key": identity,
        "method": "POST",
        "path": "/v1/enhance",
        "status": 200,
        "bytes_in": len(PNG),
        "bytes_out": len(PNG),
        "model": "sparnet",
        "version": "0123456789ab",
        "faces": 1,
    }
    assert secret not in json.dumps(fields)
