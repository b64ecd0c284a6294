"""What a server answers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import httpx

from sparnet.remote.refusals import RemoteError, request_id

MEDIA_TYPES = ("image/png", "image/webp", "image/jpeg")
DETAILS = "application/json"


@dataclass(frozen=True)
class Face:
    """A face that was restored, in pixels of the upright picture that was sent.

    box: left, top, right, bottom. points: the five landmarks as (x, y), None where nothing looked
    for them. score: the detector's. confidence: from 0 to 1, how far the result can be trusted;
    reason: why not further.
    """

    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...] | None = None
    score: float | None = None
    confidence: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Left:
    """A face that was left as it was."""

    confidence: float
    reason: str


@dataclass(frozen=True)
class Answer:
    """A restored picture as an encoded file, and who restored it.

    count: faces restored. faces (largest first) and left are None unless details were asked for.
    """

    picture: bytes
    media_type: str
    count: int
    model: str
    version: str
    request_id: str | None
    faces: tuple[Face, ...] | None = None
    left: tuple[Left, ...] | None = None


@dataclass(frozen=True)
class Model:
    """A model that is served. side: of the faces it restores, in pixels, None where not told.

    max_pixels: of the pictures it takes. attention: whether it shows where it looks. default: used
    where a request names none.
    """

    name: str
    version: str
    max_pixels: int
    side: int | None = None
    attention: bool = False
    default: bool = False


def picture(response: httpx.Response) -> Answer:
    """The restored picture in a good answer; RemoteError where there is none."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == DETAILS:
            return _detailed(response)
        if media_type not in MEDIA_TYPES:
            raise ValueError
        return Answer(
            picture=response.content,
            media_type=media_type,
            count=int(response.headers["x-sparnet-faces"]),
            model=response.headers["x-sparnet-model"],
            version=response.headers["x-sparnet-version"],
            request_id=request_id(response),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _unknown(response) from None


def models(response: httpx.Response) -> tuple[Model, ...]:
    """The models in a good answer; RemoteError where they are not told."""
    try:
        return tuple(
            Model(
                name=str(told["name"]),
                version=str(told["version"]),
                max_pixels=int(told["max_pixels"]),
                side=told.get("side"),
                attention=bool(told.get("attention", False)),
                default=bool(told.get("default", False)),
            )
            for told in response.json()["models"]
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _unknown(response) from None


def _detailed(response: httpx.Response) -> Answer:
    told = response.json()
    faces = tuple(_face(face) for face in told["faces"])
    return Answer(
        picture=base64.b64decode(told["picture"]["base64"], validate=True),
        media_type=str(told["picture"]["media_type"]),
        count=len(faces),
        model=str(told["model"]),
        version=str(told["version"]),
        request_id=request_id(response),
        faces=faces,
        left=tuple(Left(float(face["confidence"]), str(face["reason"])) for face in told["left"]),
    )


def _face(told: dict[str, Any]) -> Face:
    left, top, right, bottom = map(float, told["box"])
    points = told.get("points")
    return Face(
        box=(left, top, right, bottom),
        points=None if points is None else tuple((float(x), float(y)) for x, y in points),
        score=told.get("score"),
        confidence=told.get("confidence"),
        reason=told.get("reason"),
    )


def _unknown(response: httpx.Response) -> RemoteError:
    return RemoteError(
        f"{response.url.copy_with(query=None)}: not the answer of a SPARNet server; check the URL",
        response.status_code,
        request_id(response),
    )
