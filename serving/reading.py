"""One request on a worker: its options and its picture, checked before a pixel is decoded."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from PIL import Image

from serving.protocol import OPTIONS_HEADER, Options, Problem, most_pixels_told
from serving.settings import HandlerSettings
from sparnet import images
from sparnet.inference.restorer import MOST_PIXELS

_YES = ("1", "true", "yes")


@dataclass(frozen=True, eq=False)
class Wish:
    """A picture, and how it is to be restored. aligned: all of it is one face."""

    picture: images.Picture
    options: Options
    aligned: bool


def asks_to_describe(headers: Mapping[str, Any]) -> bool:
    return _lower_case(headers).get("describe", "").lower() in _YES


def read(request: Mapping[str, Any], headers: Mapping[str, Any], settings: HandlerSettings) -> Wish:
    """Raises Problem for options that are none and for a picture that is none or too large.

    A picture that is too small to look for faces is one aligned face.
    """
    options = _options(_lower_case(headers))
    if options.attention and not settings.attention:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "attention: this model has no maps that can be shown"
        )
    picture = _picture(_body(request), settings.max_pixels, options.upscale)
    tiny = max(picture.shape[:2]) <= settings.whole_face_side
    return Wish(picture, options, aligned=options.aligned or tiny)


def _options(headers: Mapping[str, str]) -> Options:
    header = headers.get(OPTIONS_HEADER.lower())
    try:
        return Options() if header is None else Options.parse(header)
    except ValueError:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"the header {OPTIONS_HEADER} holds no options"
        ) from None


def _picture(body: bytes, max_pixels: int, upscale: int) -> images.Picture:
    most = min(max_pixels, MOST_PIXELS)
    size = _header_size(body)
    if size is None or size[0] * size[1] * upscale**2 > most:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most_pixels_told(most, upscale))
    try:
        return images.read(body, max_pixels=most)
    except images.UnreadableImage as error:
        raise Problem(HTTPStatus.BAD_REQUEST, error.detail) from None


def _body(request: Mapping[str, Any]) -> bytes:
    """The raw body; forms and multipart arrive under the names of their fields instead."""
    body = request.get("body")
    if not isinstance(body, bytes | bytearray):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the picture file itself as the body (Content-Type: application/octet-stream)",
        )
    if not body:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is empty")
    return bytes(body)


def _header_size(body: bytes) -> tuple[int, int] | None:
    """Width and height without decoding a pixel; None for more than Pillow is ready to open."""
    try:
        with Image.open(io.BytesIO(body), formats=images.FORMATS) as image:
            return image.size
    except Image.DecompressionBombError:
        return None
    except Exception:  # Pillow's readers raise nearly anything on a broken header
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is not a picture in {', '.join(images.FORMATS)}",
        ) from None


def _lower_case(headers: Mapping[str, Any]) -> dict[str, str]:
    """TorchServe keeps the case that the client or a proxy chose, and mixes in its own dicts."""
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
