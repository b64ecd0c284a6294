"""What there is to see in one picture: its faces and the facts by which they are judged.

Looking is what takes time; it depends on the picture's bytes and the detector alone, so that what
was seen can be kept (`memory`) and judged anew with other limits (`deciding`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sparnet.data import manifest
from sparnet.data.inspection import inspect
from sparnet.data.likeness import perceptual_hashes
from sparnet.data.shards import ShardReader
from sparnet.faces.alignment import Box
from sparnet.faces.detection import SECOND_SCORE, Detector, Face
from sparnet.faces.identity import Embedder, chip
from sparnet.images import Picture, UnreadableImage, read, square

DetectorKind = Literal["none", "hog", "cnn"]
Row = dict[str, Any]

_GIVEN_LATER = ("id", "picture", "file", "split", "person", "person_from")
_OWN = (
    ("sha256", pa.string()),
    ("face", pa.int32()),
    ("problem", pa.string()),
    ("points", pa.list_(pa.float64())),
)
_SEEN = tuple(
    (field.name, field.type) for field in manifest.FACES if field.name not in _GIVEN_LATER
)

SEEN = manifest.schema(
    *_OWN,
    *_SEEN,
    nullable=("problem", "points", *(name for name, _ in _SEEN)),
)
"""A row a face, or one for a picture without: the picture's hash, the number of the face (largest
first, from 0), why the picture cannot be read, the five points (x, y in turn), and facts as in
manifest.FACES."""


@dataclass(frozen=True)
class Looker:
    """Sees what is in the pictures of a folder of shards; pickles to worker processes."""

    reader: ShardReader
    detector: Detector | None
    quick: Detector | None
    embedder: Embedder | None

    @classmethod
    def create(cls, folder: Path, kind: DetectorKind) -> Looker:
        """Raises UserError where a detector is wanted whose model files are not installed."""
        if kind == "none":
            return cls(ShardReader(folder), None, None, None)
        detector = Detector(thorough=kind == "cnn")
        return cls(ShardReader(folder), detector, Detector(), Embedder())

    def look(self, place: tuple[str, str, str]) -> list[Row]:
        """The rows of SEEN for the picture at (sha256, shard, member)."""
        sha256, shard, member = place
        rows = self._see(self.reader.read(shard, member))
        empty = dict.fromkeys(SEEN.names)
        return [empty | {"sha256": sha256, "face": face} | row for face, row in enumerate(rows)]

    def _see(self, data: bytes) -> list[Row]:
        try:
            picture = read(data)
        except UnreadableImage as error:
            return [{"problem": error.detail}]
        faces = self.detector.detect(picture) if self.detector else []
        if faces:
            return [self._face(picture, face) for face in faces]
        return [self._whole(picture)]

    def _face(self, picture: Picture, face: Face) -> Row:
        assert self.embedder is not None
        inner = chip(picture, face)
        embedding = self.embedder.embed_chip(inner).astype(np.float32)
        return _facts(picture, face.box, face.box, inner) | {
            "score": round(face.score, 4),
            "points": np.round(face.points.ravel(), 3).tolist(),
            "eye_distance": round(face.eye_distance, 3),
            "turned": round(face.turned, 4),
            "upside_down": False,
            "embedding": embedding.tolist(),
        }

    def _whole(self, picture: Picture) -> Row:
        height, width = picture.shape[:2]
        facts = _facts(picture, (0, 0, width, height), None, square(picture))
        return facts | {"upside_down": self._turned(picture)}

    def _turned(self, picture: Picture) -> bool | None:
        """Whether a picture without an upright face shows one upside down."""
        if self.quick is None:
            return None
        turned = np.ascontiguousarray(picture[::-1, ::-1])
        return any(face.score >= SECOND_SCORE for face in self.quick.detect(turned))


def _facts(picture: Picture, box: Box, face: Box | None, hashed: Picture) -> Row:
    height, width = picture.shape[:2]
    place = dict(zip(("left", "top", "right", "bottom"), np.round(box, 2).tolist(), strict=True))
    hashes = dict(zip(("phash", "phash_mirrored"), perceptual_hashes(hashed), strict=True))
    return {"width": width, "height": height} | place | hashes | asdict(inspect(picture, face))
