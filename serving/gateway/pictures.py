"""Pictures at the door: checked by their header on the way in, written anew on the way out."""

from __future__ import annotations

import io
from http import HTTPStatus

from PIL import Image

from serving.gateway.problems import Refusal
from sparnet.images import FORMATS

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_JPEG_QUALITY = 95
_WEBP_QUALITY = 92
_WEBP_LONGEST_SIDE = 16383


def check(body: bytes, max_pixels: int) -> None:
    """Raises Refusal where the header is of no picture that a model takes; decodes no pixel."""
    if not body:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the picture is empty")
    too_large = Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture may have {max_pixels} pixels at most"
    )
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
    if width * height > max_pixels:
        raise too_large
    if frames:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the picture has more than one frame")


def encode(png: bytes, media_type: str) -> bytes:
    """The PNG of a handler, which has no metadata, as `media_type`, which then has none either.

    JPEG keeps the colours of every pixel (4:4:4). Raises Refusal 406 for a WebP that is too large.
    """
    if media_type == "image/png":
        return png
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        pixels = image.convert("RGB")
    pixels.info.clear()
    stream = io.BytesIO()
    if media_type == "image/jpeg":
        pixels.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        if max(pixels.size) > _WEBP_LONGEST_SIDE:
            raise Refusal(
                HTTPStatus.NOT_ACCEPTABLE,
                f"a WebP has {_WEBP_LONGEST_SIDE} pixels a side at most; accept image/png",
            )
        pixels.save(stream, "WEBP", quality=_WEBP_QUALITY, method=2)
    return stream.getvalue()
