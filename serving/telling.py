"""What is told of a restoration: the faces, those that were left, and where the network looks."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2

from serving.protocol import MOST_ATTENTION_SHEETS, Face, Head, LeftFace
from sparnet import images
from sparnet.inference.confidence import Confidence
from sparnet.inference.pictures import attention_sheet
from sparnet.inference.restorer import Restoration, RestoredFace
from sparnet.models.generator import Generator


def head(restoration: Restoration, generator: Generator | None) -> Head:
    """The head of its frame, without the time. `generator`: with the attention maps in it."""
    return Head(
        faces=[_face(face) for face in restoration.faces],
        left=[_left(confidence) for confidence in restoration.left],
        attention=None if generator is None else _sheets(generator, restoration.faces),
        seconds=0.0,
    )


def png(picture: images.Picture) -> bytes:
    """PNG of uint8 HxWx3 RGB, in half the time of `images.encode_png`; the same for the same."""
    good, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert good
    return encoded.tobytes()


def _face(face: RestoredFace) -> Face:
    left, top, right, bottom = (_rounded(side) for side in face.box)
    points = face.points
    trust = face.confidence
    return Face(
        box=(left, top, right, bottom),
        points=None if points is None else [(_rounded(x), _rounded(y)) for x, y in points],
        score=None if face.score is None else round(float(face.score), 4),
        confidence=None if trust is None else round(trust.value, 4),
        reason=None if trust is None else _reason(trust),
    )


def _left(confidence: Confidence) -> LeftFace:
    return LeftFace(confidence=round(confidence.value, 4), reason=_reason(confidence))


def _reason(confidence: Confidence) -> str | None:
    return confidence.reason if confidence.value < 1 else None


def _rounded(pixels: float) -> float:
    """To a tenth of a pixel."""
    return round(float(pixels), 1)


def _sheets(generator: Generator, faces: Sequence[RestoredFace]) -> list[str | None]:
    shown = [
        base64.b64encode(images.encode_png(attention_sheet(generator, face.lr))).decode()
        for face in faces[:MOST_ATTENTION_SHEETS]
    ]
    return [*shown, *[None] * (len(faces) - len(shown))]
