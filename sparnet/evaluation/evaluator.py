"""Measure pictures against their originals: one row a picture, then means.

A *contender* is something that turns a low-resolution face into a full-size one: the bicubic
baseline or a network. Each is measured on the fixed pairs of the test split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparnet.data.pairs import FixedPair
from sparnet.evaluation.metrics import psnr, ssim
from sparnet.faces.detection import Detector, Face
from sparnet.faces.identity import Embedder, landmark_error, similarity
from sparnet.images import PSNR_OF_EQUALS, Picture, Protocol

Restore = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Row:
    """What was measured of one restored picture.

    psnr in dB (equal pictures count as PSNR_OF_EQUALS), ssim in -1..1; landmark_error is the mean
    distance of five points over the distance between the eyes, identity the cosine of two
    embeddings; both None where no face is found in the original or in the restored picture.
    """

    contender: str
    id: str
    psnr: float
    ssim: float
    landmark_error: float | None
    identity: float | None


@dataclass(frozen=True)
class Reference:
    """The face that was found in an original picture."""

    face: Face
    embedding: NDArray[np.float64]


class FaceMeasures:
    """Landmark error and identity similarity; the originals' faces are looked up once."""

    def __init__(self) -> None:
        self._detector = Detector()
        self._embedder = Embedder()
        self._references: dict[tuple[str, int], Reference | None] = {}

    def measure(self, pair: FixedPair, restored: Picture) -> tuple[float, float] | None:
        """(landmark error, identity cosine), or None where either picture shows no face."""
        reference = self._reference(pair)
        face = self._largest(restored) if reference else None
        if reference is None or face is None:
            return None
        embedding = self._embedder.embed(restored, face)
        return (
            float(landmark_error(face.points, reference.face.points)),
            float(similarity(embedding, reference.embedding)),
        )

    def _reference(self, pair: FixedPair) -> Reference | None:
        key = (pair.id, pair.hr.shape[0])
        if key not in self._references:
            face = self._largest(pair.hr)
            self._references[key] = (
                Reference(face, self._embedder.embed(pair.hr, face)) if face else None
            )
        return self._references[key]

    def _largest(self, image: Picture) -> Face | None:
        return next(iter(self._detector.detect(image)), None)


def measure(
    contender: str,
    pairs: Sequence[FixedPair],
    restored: Iterable[Picture],
    protocol: Protocol,
    faces: FaceMeasures | None,
) -> list[Row]:
    """One row a pair. Raises ValueError where the lengths or a picture's shape differ."""
    rows = []
    for pair, picture in zip(pairs, restored, strict=True):
        of_face = faces.measure(pair, picture) if faces else None
        rows.append(
            Row(
                contender=contender,
                id=pair.id,
                psnr=min(psnr(picture, pair.hr, protocol), PSNR_OF_EQUALS),
                ssim=ssim(picture, pair.hr, protocol),
                landmark_error=of_face[0] if of_face else None,
                identity=of_face[1] if of_face else None,
            )
        )
    return rows


def table(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in rows])


def summarise(rows: Sequence[Row]) -> dict[str, float]:
    """Means over the pictures; a mean over no picture is left out. Keys as in `metrics.json`."""
    summary: dict[str, float] = {"test/pictures": len(rows)}
    for name in ("psnr", "ssim", "landmark_error", "identity"):
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        if values:
            summary[f"test/{name}"] = math.fsum(values) / len(values)
    if any(row.identity is not None for row in rows):
        summary["test/faces_found"] = sum(row.identity is not None for row in rows)
    return summary
