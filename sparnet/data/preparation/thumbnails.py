"""Small pictures of what was prepared, read one by one from the shards."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import pandas as pd
from PIL import Image

from sparnet.data import manifest
from sparnet.data.shards import ShardReader
from sparnet.images import Picture, UnreadableImage, read, resize

Row = dict[str, Any]
Thumbnail = Callable[[Row], Picture | None]
"""The picture of a row, uint8 HxWx3; None where there is none that can be shown."""

_SIDE = 128
_QUALITY = 80


@dataclass(frozen=True)
class Thumbnails:
    """Where pictures come from.

    source: for a row of faces.parquet or quarantine.parquet, the raw picture.
    crops: framing -> for a row of faces.parquet, the face as it was cut out.
    """

    source: Thumbnail
    crops: Mapping[str, Thumbnail]

    @classmethod
    def of(cls, raw: Path, prepared: Path, framings: Mapping[int, str]) -> Self:
        """Of the folders `raw` and `prepared`; of each framing the least size that has it."""
        names = ["id", "shard", "file"]
        pictures = manifest.read(raw / manifest.NAME, manifest.RAW, names).set_index("id")
        names = ["id", "size", "shard", "member"]
        cuts = manifest.read(prepared / manifest.NAME, manifest.PREPARED, names)
        sizes = {framing: size for size, framing in sorted(framings.items(), reverse=True)}
        crops = {
            framing: partial(_read, ShardReader(prepared), of_size.set_index("id"), "id", "member")
            for framing, size in sorted(sizes.items(), key=lambda item: item[1])
            for of_size in [cuts[cuts["size"] == size]]
        }
        return cls(partial(_read, ShardReader(raw), pictures, "picture", "file"), crops)


def address(picture: Picture | None) -> str | None:
    """The picture as a data address: a JPEG, shrunk to what a page of many shows."""
    if picture is None:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    stream = io.BytesIO()
    Image.fromarray(resize(picture, size, "lanczos")).save(stream, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _read(
    reader: ShardReader, places: pd.DataFrame, key: str, member: str, row: Row
) -> Picture | None:
    """The picture at the place of row[key]."""
    shard, name = (str(places.at[row[key], column]) for column in ("shard", member))
    try:
        return read(reader.read(shard, name))
    except UnreadableImage:
        return None
