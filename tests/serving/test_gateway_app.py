"""What the gateway takes and answers, before a TorchServe that does well."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway_thread import PNG, problem
from PIL import Image, PngImagePlugin

from serving.gateway import pictures
from serving.protocol import Options


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


def part(disposition: str, content: bytes = b"") -> bytes:
    """A form of one part, with the boundary x."""
    head = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
    return head + content + b"\r\n--x--\r\n"


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
    assert dict(headers)["X-Sparnet-Options"] == Options().header()
    assert body == PNG


@pytest.mark.parametrize(
    "path", ["/v1/faces?model=sparnet", "/v1/enhance?model=sparnet&aligned=true"]
)
def test_an_aligned_face_is_asked_for_as_one(gateway, upstream, path):
    assert gateway.post(PNG, path).status_code == 200
    [(path, headers, _)] = upstream.asked
    assert path == "/predictions/sparnet/0123456789ab"
    assert dict(headers)["X-Sparnet-Options"] == Options(aligned=True).header()


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
        (part("name*=picture; name*0=b"), "multipart/form-data; boundary=x", "picture once"),
        (part("name*" + "1" * 5000 + "=b"), "multipart/form-data; boundary=x", "too long"),
        (part("name*" + "1" * 4000 + "=b"), "multipart/form-data; boundary=x", "picture once"),
        (part("name=picture" + ";" * 90_000), "multipart/form-data; boundary=x", "too long"),
        (b"", "multipart/form-data; boundary*=a; boundary*0=b", "boundary is missing"),
        (b"", "multipart/form-data; boundary*" + "1" * 5000 + "=b", "boundary is missing"),
        (b"", 'multipart/form-data; boundary="x', "boundary is missing"),
    ],
)
def test_a_broken_form_is_refused(gateway, upstream, form, content_type, told):
    started = time.monotonic()
    assert told in problem(gateway.post(form, Content_Type=content_type), 422)
    assert time.monotonic() - started < 5
    assert not upstream.asked


@pytest.mark.parametrize(
    "disposition",
    [
        'filename="a; name=other"; name="picture"',
        'NAME="pic\\ture" ; filename="a\\"; name=\\"b"',
        ";; name=picture",
    ],
)
def test_the_name_of_a_field_is_read_as_browsers_write_it(gateway, upstream, disposition):
    body = part(disposition, PNG)
    answer = gateway.post(body, Content_Type='multipart/form-data; charset=utf-8; boundary="x"')
    assert answer.status_code == 200
    assert upstream.asked[0][2] == PNG


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
    told = problem(gateway.post(PNG, Accept=accept), 406)
    assert "image/png, image/webp, image/jpeg, application/json" in told
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
        ("aligned=1", "aligned: is true or false"),
        ("colour=1", "colour: "),
        ("upscale=5", "upscale: "),
        ("min_confidence=nan", "min_confidence: "),
        ("aligned=true&upscale=2", "upscale: enlarges a photograph"),
        ("aligned=true&min_confidence=0.5", "min_confidence: an aligned picture is taken"),
        ("model=sparnet&attention=true", "attention: is shown in JSON only"),
    ],
)
def test_a_wrong_parameter_is_named(gateway, query, told):
    assert problem(gateway.post(PNG, f"/v1/enhance?{query}"), 422).startswith(told)


def test_unknown_paths_and_methods_are_problems_too(gateway):
    problem(gateway.client.get("/predictions/sparnet"), 404)
    answer = gateway.client.get("/v1/enhance")
    problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"POST", "PUT"}


@pytest.mark.parametrize("given", ["a", "job-17_b.c", "A" * 64])
def test_a_safe_request_id_is_kept(gateway, given):
    assert gateway.post(PNG, X_Request_Id=given).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "-", "a b", "a" * 65, "<script>", "a;b", "\xfc"])
def test_another_request_id_is_replaced(gateway, given):
    answer = gateway.client.get("/livez", headers={"X-Request-Id": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_mistake_of_the_gateway_itself_is_a_problem_and_is_logged(gateway, monkeypatch, caplog):
    def mistaken(*_):
        raise RuntimeError("mistaken")

    monkeypatch.setattr("serving.gateway.answers.content", mistaken)
    assert problem(gateway.post(PNG, X_Request_Id="job-2"), 500) == "the request failed"
    monkeypatch.undo()
    assert gateway.post(PNG).status_code == 200
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.fields == {"request_id": "job-2"}


def test_a_header_that_takes_long_to_read_keeps_nobody_waiting(gateway, monkeypatch):
    """A few kilobytes of compressed text in a PNG can inflate to many megabytes."""
    reading, go_on = threading.Event(), threading.Event()

    def slow(*_):
        reading.set()
        assert go_on.wait(10)

    monkeypatch.setattr("serving.gateway.pictures.check", slow)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(gateway.post, _with_text(PNG))
        assert reading.wait(10)
        assert gateway.client.get("/livez").status_code == 200
        go_on.set()
        assert answer.result().status_code == 200


def test_a_header_without_text_is_read_without_a_thread(gateway, monkeypatch):
    """The thread would take longer than the reading."""
    threads = []
    check = pictures.check

    def noted(*arguments):
        threads.append(threading.get_ident())
        check(*arguments)

    monkeypatch.setattr(pictures, "check", noted)
    hidden = PNG[:11] + b"\x0ezTXt" + PNG[16:37] + b"IDAT" + PNG[41:]
    statuses = [gateway.post(body).status_code for body in (PNG, PNG, hidden)]
    assert statuses == [200, 200, 415]
    assert threads[0] == threads[1] != threads[2]


def _with_text(png):
    stream = io.BytesIO()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 100, zip=True)
    Image.open(io.BytesIO(png)).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def test_line_breaks_in_parameters_reach_no_header(gateway):
    answer = gateway.post(PNG, "/v1/enhance?model=x%0d%0aX-Evil:%201&a%0d%0aX-Evil:b=1")
    problem(answer, 422)
    assert "x-evil" not in answer.headers


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
    assert listed[0] == {
        "name": "sparnet",
        "version": "0123456789ab",
        "side": 128,
        "max_pixels": 250_000,
        "attention": True,
        "default": False,
    }


def test_the_interface_describes_itself_with_examples(gateway):
    described = gateway.client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/enhance", "/v1/faces", "/v1/models", "/livez", "/readyz", "/metrics",
    }  # fmt: skip
    enhance = described["paths"]["/v1/enhance"]["post"]
    assert set(enhance["responses"]["200"]["content"]) == {
        "image/png", "image/webp", "image/jpeg", "application/json",
    }  # fmt: skip
    assert {parameter["name"] for parameter in enhance["parameters"]} == {
        "model", *Options.model_fields,
    }  # fmt: skip
    assert "multipart/form-data" in enhance["requestBody"]["content"]
    for status in ("401", "403", "413", "415", "422", "429", "503", "504"):
        [content] = enhance["responses"][status]["content"].values()
        assert content["example"]["status"] == int(status)
    assert enhance["security"]


def test_the_log_tells_of_requests_and_nothing_of_pictures_and_keys(gateway, caplog):
    caplog.set_level("INFO", "sparnet.gateway")
    gateway.post(PNG, "/v1/enhance?model=sparnet", X_Request_Id="job-1")
    gateway.client.get("/livez")  # once this is answered, the request before is in the log
    [fields] = [item.fields for item in caplog.records if item.fields["request_id"] == "job-1"]
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
