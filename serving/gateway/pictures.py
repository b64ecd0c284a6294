"""Pictures at the door: checked by their header on the way in, written anew on the way out."""

from __future__ import annotations

import asyncio
import io
from http import HTTPStatus

from PIL import Image

from serving.gateway.negotiation import PictureType
from serving.gateway.problems import Refusal
from serving.protocol import PNG_SIGNATURE, most_pixels_told
from sparnet.images import FORMATS

_PNG_START = PNG_SIGNATURE + b"\0\0\0\rIHDR"
_SECOND_CHUNK = slice(37, 41)  # where its name stands

_JPEG_QUALITY = 95
_WEBP_QUALITY = 92
_LONGEST_SIDES = {"image/jpeg": 65500, "image/webp": 16383}


def check(body: bytes, max_pixels: int, upscale: int = 1) -> None:
    """Raises Refusal where the header is of no picture that a model takes; decodes no pixel.

    `max_pixels` is meant of the picture after it is enlarged `upscale` times.
    """
    if not body:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the picture is empty")
    too_large = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most_pixels_told(max_pixels, upscale))
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            width, height = image.size
            # An MPO is a camera's JPEG with previews behind: its first frame is the picture.
            frames = image.format != "MPO" and getattr(image, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except Exception:  # Pillow's readers raise nearly anything on a broken header
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"what was sent is not a picture in {', '.join(FORMATS)}",
        ) from None
    if width * height * upscale**2 > max_pixels:
        raise too_large
    if frames:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the picture has more than one frame")


async def check_aside(body: bytes, max_pixels: int, upscale: int = 1) -> None:
    """`check` in a thread, for a few kilobytes of compressed text can inflate to many megabytes.

    A PNG whose pixels follow its size has no such text, and a thread takes longer than its check.
    """
    if body.startswith(_PNG_START) and body[_SECOND_CHUNK] == b"IDAT":
        check(body, max_pixels, upscale)
    else:
        await asyncio.to_thread(check, body, max_pixels, upscale)


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a handler's PNG."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return image.size


def encode(png: bytes, media_type: PictureType) -> bytes:
    """The PNG of a handler, which has no metadata, as `media_type`, which then has none either.

    JPEG keeps the colours of every pixel (4:4:4). Raises Refusal 406 where a side is too long.
    """
    if media_type == "image/png":
        return png
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        pixels = image.convert("RGB")
    longest = _LONGEST_SIDES[media_type]
    if max(pixels.size) > longest:
        raise Refusal(
            HTTPStatus.NOT_ACCEPTABLE,
            f"{media_type} has {longest} pixels a side at most; accept image/png",
        )
    pixels.info.clear()
    stream = io.BytesIO()
    if media_type == "image/jpeg":
        pixels.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        pixels.save(stream, "WEBP", quality=_WEBP_QUALITY, method=2)
    return stream.getvalue()
