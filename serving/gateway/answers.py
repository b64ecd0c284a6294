"""The answers in JSON: what is told of a restored picture, with the picture in it; the models."""

from __future__ import annotations

import asyncio
import base64
from typing import Literal

from pydantic import BaseModel, Field

from serving.gateway import pictures
from serving.gateway.negotiation import Wanted
from serving.gateway.upstream import Restored
from serving.protocol import Face, LeftFace
from serving.routes import ServedModel

_AS_RESTORED = Wanted("image/png")


class EmbeddedPicture(BaseModel):
    media_type: Literal["image/png", "image/webp", "image/jpeg"]
    base64: str


class RestoredPicture(BaseModel):
    """width, height: of the restored picture. Faces: in pixels of the upright picture that was
    sent, largest first. left: faces that were left as they were. attention, where asked for: for
    each face a PNG of all maps in base64, null where none is shown."""

    model: str
    version: str
    width: int
    height: int
    faces: list[Face]
    left: list[LeftFace]
    attention: list[str | None] = Field(default_factory=list)
    picture: EmbeddedPicture


class ListedModel(ServedModel):
    """default: whether it is taken where none is named."""

    default: bool


class Models(BaseModel):
    models: list[ListedModel]


async def content(restored: Restored, model: ServedModel, wanted: Wanted) -> bytes:
    """The body of the answer; raises Refusal 406 where a side is too long for its format."""
    if wanted == _AS_RESTORED:
        return restored.png
    return await asyncio.to_thread(_encoded, restored, model, wanted)


def _encoded(restored: Restored, model: ServedModel, wanted: Wanted) -> bytes:
    encoded = pictures.encode(restored.png, wanted.picture)
    if not wanted.json:
        return encoded
    width, height = pictures.size(restored.png)
    head = restored.head
    answer = RestoredPicture(
        model=model.name,
        version=model.version,
        width=width,
        height=height,
        faces=head.faces,
        left=head.left,
        attention=head.attention or [],
        picture=EmbeddedPicture(
            media_type=wanted.picture, base64=base64.b64encode(encoded).decode()
        ),
    )
    absent = {"attention"} if head.attention is None else None
    return answer.model_dump_json(exclude=absent).encode()
