from __future__ import annotations

import json

import pytest
from fake_torchserve import HEAD
from pydantic import ValidationError

from serving.protocol import PNG_SIGNATURE, BadFrame, Head, Options, pack, unpack

PNG = PNG_SIGNATURE + b"..."


def framed(head: bytes, png: bytes = PNG) -> bytes:
    return len(head).to_bytes(4, "big") + head + png


def changed(**values: object) -> bytes:
    return framed(json.dumps(json.loads(HEAD.model_dump_json()) | values).encode())


@pytest.mark.parametrize("attention", [None, ["aGVhdA=="], [None]])
def test_a_frame_is_read_as_it_was_written(attention):
    head = HEAD.model_copy(update={"attention": attention})
    assert unpack(pack(head, PNG)) == (head, PNG)


def test_options_are_read_as_they_were_written():
    options = Options(upscale=4, min_confidence=0.1, small_faces=True)
    assert Options.parse(options.header()) == options
    assert options.header().isascii()
    assert " " not in options.header()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\0" + PNG,
        b"\xff\xff\xff\xff" + PNG,
        pack(HEAD, PNG)[:-8],
        pack(HEAD, b"<html>"),
        framed(b"[]"),
        framed(b"\xff"),
        changed(faces=None),
        changed(faces=[{}]),
        changed(seconds=-1),
        changed(seconds="1"),
        changed(left=[{"confidence": 2, "reason": "small"}]),
        changed(attention=[]),
        changed(more=1),
    ],
)
def test_what_is_no_frame_is_told_in_one_line(frame):
    with pytest.raises(BadFrame) as caught:
        unpack(frame)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("infinite", [float("nan"), float("inf")])
def test_a_head_holds_finite_numbers(infinite):
    with pytest.raises(ValidationError):
        Head(faces=[], left=[], seconds=infinite)
