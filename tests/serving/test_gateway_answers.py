"""The options of a request, and the answer in JSON."""

from __future__ import annotations

import base64
import io
import json

import jsonschema
import pytest
from fake_torchserve import HEAD, SHEET
from gateway_thread import PNG, problem
from PIL import Image

from serving.protocol import Options


def asked(upstream) -> Options:
    """The options that the last request carried."""
    _, headers, _ = upstream.asked[-1]
    return Options.parse(dict(headers)["X-Sparnet-Options"])


def test_every_option_reaches_the_handler(gateway, upstream):
    wishes = "upscale=2&min_confidence=0.25&match_colour=true&small_faces=true&turned_faces=true"
    path = f"/v1/enhance?model=sparnet&attention=true&{wishes}"
    assert gateway.post(PNG, path, Accept="application/json").is_success
    assert asked(upstream) == Options(
        upscale=2,
        min_confidence=0.25,
        match_colour=True,
        small_faces=True,
        turned_faces=True,
        attention=True,
    )


def test_an_aligned_face_has_the_options_that_make_sense_for_it(gateway, upstream):
    assert gateway.post(PNG, "/v1/faces?match_colour=true").is_success
    assert asked(upstream) == Options(aligned=True, match_colour=True)
    assert problem(gateway.post(PNG, "/v1/faces?upscale=2"), 422).startswith("upscale: ")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "image/png"),
        ("application/json, text/plain, */*", "image/png"),
        ("application/json, image/webp;q=0.5", "image/webp"),
        ("application/json, image/jpeg", "image/jpeg"),
        ("image/*;q=0, */*", "image/png"),
    ],
)
def test_json_holds_what_was_found_and_the_picture(gateway, accept, media_type):
    answer = gateway.post(PNG, Accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["x-sparnet-faces"] == "1"
    content = answer.json()
    picture = content.pop("picture")
    assert content == {
        "model": "sparnethd",
        "version": "ba9876543210",
        "width": 48,
        "height": 48,
        "faces": json.loads(HEAD.model_dump_json())["faces"],
        "left": [{"confidence": 0.1, "reason": "blurred"}],
    }
    assert picture["media_type"] == media_type
    with Image.open(io.BytesIO(base64.b64decode(picture["base64"]))) as image:
        assert Image.MIME[image.format] == media_type


@pytest.mark.parametrize(
    "accept",
    ["image/png, application/json;q=0.9", "*/*", "image/*, */*;q=0.1", "application/*;q=0, */*"],
)
def test_who_likes_pictures_better_than_json_gets_a_picture(gateway, accept):
    assert gateway.post(PNG, Accept=accept).headers["content-type"] == "image/png"


def test_attention_is_in_the_answer_where_it_was_asked_for(gateway):
    path = "/v1/faces?model=sparnet&attention=true"
    assert gateway.post(PNG, path, Accept="application/json").json()["attention"] == [SHEET]


def test_a_model_without_attention_is_not_asked_for_it(gateway, upstream):
    path = "/v1/enhance?model=sparnethd&attention=true"
    told = problem(gateway.post(PNG, path, Accept="application/json"), 422)
    assert told.startswith("attention: sparnethd has no maps")
    assert not upstream.asked


def test_an_enlarged_picture_that_is_too_large_does_not_reach_torchserve(gateway, upstream):
    stream = io.BytesIO()
    Image.new("RGB", (300, 300)).save(stream, "PNG")
    assert gateway.post(stream.getvalue(), "/v1/enhance?upscale=3").is_success
    told = problem(gateway.post(stream.getvalue(), "/v1/enhance?upscale=4"), 413)
    assert told == "with upscale 4 a picture may have 62500 pixels at most"
    assert len(upstream.asked) == 1


def test_a_side_that_a_format_cannot_have_is_not_acceptable(gateway, upstream, monkeypatch):
    stream = io.BytesIO()
    Image.new("L", (70_000, 1)).save(stream, "PNG")
    monkeypatch.setattr(upstream, "png", stream.getvalue())
    for media_type in ("image/jpeg", "image/webp"):
        assert "pixels a side" in problem(gateway.post(PNG, Accept=media_type), 406)


def test_json_answers_and_their_examples_are_as_the_schema_says(gateway):
    described = gateway.client.get("/openapi.json").json()
    accept = {"Accept": "application/json"}
    answers = {
        ("/v1/enhance", "post"): [gateway.post(PNG, **accept)],
        ("/v1/faces", "post"): [
            gateway.post(PNG, "/v1/faces?model=sparnet&attention=true", **accept),
            gateway.post(PNG, "/v1/faces", **accept),
        ],
        ("/v1/models", "get"): [gateway.client.get("/v1/models")],
    }
    for (path, method), given in answers.items():
        content = described["paths"][path][method]["responses"]["200"]["content"]
        told = content["application/json"]
        schema = told["schema"] | {"components": described["components"]}
        for value in (told["example"], *(answer.json() for answer in given)):
            jsonschema.validate(value, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, schema)


def test_the_bounds_of_the_options_are_described(gateway):
    described = gateway.client.get("/openapi.json").json()
    parameters = described["paths"]["/v1/enhance"]["post"]["parameters"]
    schemas = {item["name"]: item["schema"] for item in parameters}
    assert (schemas["upscale"]["minimum"], schemas["upscale"]["maximum"]) == (1, 4)
    assert schemas["aligned"]["type"] == "boolean"
