"""What the gateway and the handler say to each other.

A request carries the picture as its body and the options in a header, for TorchServe drops query
strings. A good answer is a frame: four bytes with the length of the head (big-endian), the head as
JSON, then the restored picture as PNG. Refusals are problem details of RFC 9457.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparnet.errors import first_mistake

OPTIONS_HEADER = "X-Sparnet-Options"
FACES_HEADER = "X-Sparnet-Faces"
MODEL_HEADER = "X-Sparnet-Model"
VERSION_HEADER = "X-Sparnet-Version"
LOAD_FAILURE = "cannot load the model"  # begins a line of the log
PROBLEM_TYPE = "application/problem+json"
RESTORED_TYPE = "application/x-sparnet-restored"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_ATTENTION_SHEETS = 4

_LENGTH_BYTES = 4

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Pixels = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Options(_Part):
    """How a picture is to be restored; see `sparnet.inference.Restorer`.

    attention: with a sheet of attention maps for each of the largest faces.
    """

    aligned: bool = False
    upscale: Annotated[int, Field(ge=1, le=4)] = 1
    min_confidence: Share = 0.0
    match_colour: bool = False
    small_faces: bool = False
    turned_faces: bool = False
    attention: bool = False

    @model_validator(mode="after")
    def _an_aligned_face_is_taken_as_it_is(self) -> Self:
        if self.aligned and self.upscale != 1:
            raise ValueError("upscale: enlarges a photograph, not an aligned face")
        if self.aligned and self.min_confidence:
            raise ValueError("min_confidence: an aligned picture is taken as the face it is")
        return self

    def header(self) -> str:
        """Compact JSON: ASCII, and nothing that a client wrote."""
        return self.model_dump_json()

    @classmethod
    def parse(cls, header: str) -> Self:
        """Raises ValueError for what `header` did not write."""
        return cls.model_validate_json(header)


class Face(_Part):
    """A restored face, in pixels of the upright input.

    box: left, top, right, bottom. points: eyes, nose and corners of the mouth. reason: what keeps
    the confidence down. Where the whole picture was taken as the face, only the box is known.
    """

    box: tuple[Pixels, Pixels, Pixels, Pixels]
    points: Annotated[list[tuple[Pixels, Pixels]], Field(min_length=5, max_length=5)] | None
    score: Pixels | None
    confidence: Share | None
    reason: str | None


class LeftFace(_Part):
    """A face that was left as it was."""

    confidence: Share
    reason: str | None


class Head(_Part):
    """What is told beside the restored picture.

    faces: largest first. attention: a PNG in base64 for each face, null where none is shown; null
    as a whole where none was asked for. seconds: the time in the handler.
    """

    faces: list[Face]
    left: list[LeftFace]
    attention: list[str | None] | None = None
    seconds: NotNegative

    @model_validator(mode="after")
    def _each_face_has_its_place_among_the_sheets(self) -> Self:
        if self.attention is not None and len(self.attention) != len(self.faces):
            raise ValueError("attention: needs an entry for each face")
        return self


class BadFrame(ValueError):
    """What should be a frame is none."""


def pack(head: Head, png: bytes) -> bytes:
    """The frame of a good answer."""
    text = head.model_dump_json().encode()
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text + png


def unpack(frame: bytes) -> tuple[Head, bytes]:
    """Head and PNG of a frame; raises BadFrame where it is not as `pack` made it."""
    end = _LENGTH_BYTES + int.from_bytes(frame[:_LENGTH_BYTES], "big")
    if len(frame) < max(end, _LENGTH_BYTES):
        raise BadFrame(f"a frame of {len(frame)} bytes with a head that ends at {end}")
    try:
        head = Head.model_validate_json(frame[_LENGTH_BYTES:end])
    except ValidationError as error:
        raise BadFrame(f"the head of a frame: {first_mistake(error.errors())}") from None
    png = frame[end:]
    if not png.startswith(PNG_SIGNATURE):
        raise BadFrame("a frame without a PNG")
    return head, png


def most_pixels_told(max_pixels: int, upscale: int = 1) -> str:
    """Why a picture is too large that may have `max_pixels` after it is enlarged."""
    if upscale == 1:
        return f"a picture may have {max_pixels} pixels at most"
    return f"with upscale {upscale} a picture may have {max_pixels // upscale**2} pixels at most"


class Problem(Exception):
    """One request's failure. `detail` is for the client and never goes into a header."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    @property
    def phrase(self) -> str:
        """The status' own reason phrase: ASCII, and nothing a client wrote."""
        return self.status.phrase

    def body(self) -> bytes:
        content = {
            "type": "about:blank",
            "title": self.phrase,
            "status": int(self.status),
            "detail": self.detail,
        }
        return json.dumps(content).encode()
