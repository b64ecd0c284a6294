"""Measure pictures against their originals: one row a picture, then means.

A *contender* is something that turns a low-resolution face into a full-size one: the bicubic
baseline or a network. Each is measured on the fixed pairs of the test split.

Faces are compared where one is found in the original and in every contender's picture: who
restores the hard ones so badly that no face is left in them must not gain by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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

    psnr in dB (equal pictures count as PSNR_OF_EQUALS), ssim in -1..1. face_found: whether the
    restored picture shows a face; None where the original shows none, or nobody looked.
    landmark_error is the mean distance of five points over the distance between the eyes,
    identity the cosine of two embeddings; both None unless face_found.
    """

    contender: str
    id: str
    psnr: float
    ssim: float
    face_found: bool | None = None
    landmark_error: float | None = None
    identity: float | None = None


@dataclass(frozen=True)
class Reference:
    """The face that was found in an original picture."""

    face: Face
    embedding: NDArray[np.float64]


@dataclass(frozen=True)
class FaceMeasure:
    """The face of a restored picture beside that of its original; fields as in Row."""

    face_found: bool
    landmark_error: float | None = None
    identity: float | None = None


class FaceMeasures:
    """Landmark error and identity similarity of the largest faces."""

    def __init__(self) -> None:
        self._detector = Detector()
        self._embedder = Embedder()

    def measure(self, original: Picture, restored: Sequence[Picture]) -> list[FaceMeasure | None]:
        """Compare every restored picture with the original; None where that shows no face."""
        reference = self._reference(original)
        return [self._compare(reference, picture) if reference else None for picture in restored]

    def _compare(self, reference: Reference, restored: Picture) -> FaceMeasure:
        face = self._largest(restored)
        if face is None:
            return FaceMeasure(face_found=False)
        return FaceMeasure(
            face_found=True,
            landmark_error=landmark_error(face.points, reference.face.points),
            identity=similarity(self._embedder.embed(restored, face), reference.embedding),
        )

    def _reference(self, original: Picture) -> Reference | None:
        face = self._largest(original)
        return Reference(face, self._embedder.embed(original, face)) if face else None

    def _largest(self, image: Picture) -> Face | None:
        return next(iter(self._detector.detect(image)), None)


def measure(
    pair: FixedPair,
    restored: Mapping[str, Picture],
    protocol: Protocol,
    faces: FaceMeasures | None = None,
) -> list[Row]:
    """One row a contender of `restored`. Raises ValueError where a picture's shape differs."""
    pictures = list(restored.values())
    of_faces = faces.measure(pair.hr, pictures) if faces else [None] * len(pictures)
    return [
        Row(
            contender=contender,
            id=pair.id,
            psnr=min(psnr(picture, pair.hr, protocol), PSNR_OF_EQUALS),
            ssim=ssim(picture, pair.hr, protocol),
            **(asdict(of_face) if of_face else {}),
        )
        for (contender, picture), of_face in zip(restored.items(), of_faces, strict=True)
    ]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in rows])


def summarise(contenders: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, float]]:
    """Means of contenders that were measured on the same pictures, in the same order.

    Keys as in `metrics.json`. test/faces_found_share: of the originals with a face, the share
    whose restored picture shows one too. test/landmark_error, test/identity: means over the
    test/faces_compared pictures that show a face in the original and for every contender. What
    would be a mean over no picture is left out.
    """
    compared = [
        place
        for place, rows in enumerate(zip(*contenders.values(), strict=True))
        if all(row.face_found for row in rows)
    ]
    return {name: _means(rows, compared) for name, rows in contenders.items()}


def _means(rows: Sequence[Row], compared: Sequence[int]) -> dict[str, float]:
    means: dict[str, float] = {
        "test/pictures": len(rows),
        "test/psnr": _mean([row.psnr for row in rows]),
        "test/ssim": _mean([row.ssim for row in rows]),
    }
    looked = [row.face_found for row in rows if row.face_found is not None]
    if looked:
        means["test/faces_found_share"] = _mean(looked)
        means["test/faces_compared"] = len(compared)
    for name in ("landmark_error", "identity") if compared else ():
        means[f"test/{name}"] = _mean([getattr(rows[place], name) for place in compared])
    return means


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
