"""The handler on TorchServe's own context, without its front end."""

from __future__ import annotations

import io
import json
import logging
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from handler_context import ALIGNED, changed, context_of, loaded, picture_of
from PIL import Image

from serving.handler import SparnetHandler
from serving.protocol import RESTORED_TYPE, unpack
from serving.telling import png
from sparnet import images


def encoded(image: Image.Image, format="PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def face(side=16) -> bytes:
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    return images.encode_png(ramp)


def test_weights_of_another_hash_stop_the_worker(packaged, tmp_path):
    with zipfile.ZipFile(packaged.store / "sparnet.mar") as stored:
        stored.extractall(tmp_path)
    with (tmp_path / "best.safetensors").open("r+b") as stream:
        stream.seek(-1, io.SEEK_END)
        stream.write(b"\x7f")
    with pytest.raises(RuntimeError, match="does not have the packaged SHA-256"):
        SparnetHandler().initialize(context_of(tmp_path))


@pytest.mark.parametrize(
    ("member", "reason"),
    [("best.xml", "does not have the packaged SHA-256"), ("best.bin", "damaged")],
)
def test_an_altered_graph_stops_the_worker(unpacked, tmp_path, member, reason):
    folder = shutil.copytree(unpacked, tmp_path / "altered")
    content = (folder / member).read_bytes()
    (folder / member).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(RuntimeError, match=reason):
        SparnetHandler().initialize(context_of(folder))


def test_the_backend_can_be_chosen_and_gives_the_same_picture(unpacked, handler, tmp_path):
    folder = shutil.copytree(unpacked, tmp_path / "torch")
    chosen = loaded(changed(folder, backend="torch"))
    told, pictures = [], []
    for one in (handler, chosen):
        context = context_of(folder, [{"describe": "1"}, {}])
        described, restored = one.handle([{}, {"body": face()}], context)
        told.append(json.loads(described)["runtime"])
        pictures.append(picture_of(restored).astype(int))
    assert told[0].startswith("openvino ")
    assert told[1] == "torch float32 on cpu"
    assert np.abs(pictures[0] - pictures[1]).mean() <= 1


def test_the_workers_chatter_ends_once_it_is_ready(unpacked, monkeypatch):
    """TorchServe has the root logger write every request's metrics to standard output."""
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    loaded(unpacked)
    assert not logging.getLogger().isEnabledFor(logging.INFO)
    assert logging.getLogger().isEnabledFor(logging.WARNING)


def test_a_restored_picture_is_encoded_without_loss():
    noise = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    assert np.array_equal(images.read(png(noise)), noise)


def test_a_tiny_picture_is_one_face(packaged, answer):
    status, content_type, content = answer(face(16))
    assert (status, content_type) == (200, RESTORED_TYPE)
    side = packaged.sides["sparnet"]
    assert picture_of(content).shape == (side, side, 3)


@pytest.mark.parametrize("name", ["X-Sparnet-Options", "x-sparnet-options"])
def test_a_header_of_any_case_makes_the_whole_picture_one_face(packaged, answer, name):
    status, _, content = answer(face(100), **{name: ALIGNED})
    assert status == 200
    side = packaged.sides["sparnet"]
    assert picture_of(content).shape == (side, side, 3)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "\r\nmaybe",
        "[]",
        '{"aligned":1}',
        '{"upscale":5}',
        '{"colour":true}',
        '{"aligned":true,',
    ],
)
def test_options_that_are_none_are_a_bad_request(answer, header):
    status, content_type, content = answer(face(), X_Sparnet_Options=header)
    assert (status, content_type) == (400, "application/problem+json")
    assert json.loads(content) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "the header X-Sparnet-Options holds no options",
    }


def test_a_picture_without_a_face_is_told_so(answer):
    status, _, content = answer(images.encode_png(np.full((120, 120, 3), 90, np.uint8)))
    assert status == 422
    assert "no face was found" in json.loads(content)["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not a picture", 415),
        (face(200)[:-300], 400),
        ({"json": 1}, 415),
        ("text", 415),
        (None, 415),
    ],
    ids=["empty", "no picture", "cut off", "json", "text", "form"],
)
def test_what_is_no_picture_is_refused(answer, body, status):
    assert answer(body)[0] == status


def header_of(width: int, height: int) -> bytes:
    """A PNG that says how large it is, with no pixel behind."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT")
    framed = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("side", [1_001, 30_000])
def test_a_bomb_is_refused_from_its_header(answer, side):
    status, _, content = answer(header_of(side, side))
    assert status == 413
    assert "may have 1000000 pixels at most" in json.loads(content)["detail"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "I;16", "1"])
def test_every_kind_of_picture_is_taken(answer, mode):
    image = Image.new("RGB", (16, 16), (200, 120, 80)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    status, content_type, _ = answer(encoded(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert (status, content_type) == (200, RESTORED_TYPE)


def test_one_bad_picture_leaves_the_others_their_answers(handler, unpacked):
    bodies = [face(16), b"not a picture", face(20), face(24)]
    context = context_of(unpacked, [{}] * 4)
    answers = handler.handle([{"body": bytearray(body)} for body in bodies], context)
    assert [context.get_response_status(index)[0] for index in range(4)] == [200, 415, 200, 200]
    alone = context_of(unpacked, [{}])
    [again] = handler.handle([{"body": face(24)}], alone)
    assert unpack(again)[1] == unpack(answers[3])[1]


def test_nothing_of_the_client_reaches_a_header_or_the_reason_phrase(handler, unpacked):
    context = context_of(unpacked, [{"X-Sparnet-Options": "ü\r\nSet-Cookie: a=b"}])
    handler.handle([{"body": face()}], context)
    assert context.get_response_status(0) == (400, "Bad Request")
    assert context.get_response_headers(0) == {"content-type": "application/problem+json"}


def test_describe_answers_one_request_and_not_its_batch(packaged, handler, unpacked):
    context = context_of(unpacked, [{"describe": "True"}, {}])
    described, restored = handler.handle([{}, {"body": face()}], context)
    assert json.loads(described)["name"] == "sparnet"
    assert picture_of(restored).shape[0] == packaged.sides["sparnet"]
