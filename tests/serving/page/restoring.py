"""A stand-in for TorchServe whose answers depend on the picture, for those who look at them."""

from __future__ import annotations

import base64
import io

from fake_torchserve import FakeTorchServe
from PIL import Image, ImageOps

from serving.protocol import OPTIONS_HEADER, Face, Head, LeftFace, Options, pack

BOX = (0.34, 0.12, 0.54, 0.40)
"""Of the face that every photograph has, in parts of its width and height."""

SIDE = 128
"""Of every aligned face that comes back."""


class RestoringTorchServe(FakeTorchServe):
    """Turns the colours of a picture into their opposites."""

    def frame(self, body: bytes, options: Options) -> bytes:
        with Image.open(io.BytesIO(body)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        width, height = upright.size
        size = (
            (SIDE, SIDE) if options.aligned else (width * options.upscale, height * options.upscale)
        )
        head = Head(
            faces=[_whole(width, height) if options.aligned else _face(width, height)],
            left=[] if options.aligned else [LeftFace(confidence=0.12, reason="blurred")],
            attention=[_sheet()] if options.attention else None,
            seconds=0.01,
        )
        return pack(head, _png(ImageOps.invert(upright).resize(size)))


def asked(upstream: FakeTorchServe) -> list[tuple[str, Options]]:
    """Model and options of each request that has reached TorchServe."""
    return [
        (path.split("/")[2], Options.parse(dict(headers)[OPTIONS_HEADER]))
        for path, headers, _ in upstream.asked
    ]


def _face(width: int, height: int) -> Face:
    left, top, right, bottom = BOX
    box = (left * width, top * height, right * width, bottom * height)
    points = [(box[0], box[1])] * 5
    return Face(box=box, points=points, score=0.9, confidence=0.64, reason="small")


def _whole(width: int, height: int) -> Face:
    box = (0.0, 0.0, float(width), float(height))
    return Face(box=box, points=None, score=None, confidence=None, reason=None)


def _sheet() -> str:
    return base64.b64encode(_png(Image.new("RGB", (640, 720), "navy"))).decode()


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
