"""What a set of faces is like, in a few kilobytes: enough to compare another set with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from sparnet.errors import UserError

QUANTITIES = ("face_size", "brightness", "contrast", "sharpness", "saturation")
"""What is measured of each face: the longer side of its box in pixels, and columns of its row."""

LEVELS = np.linspace(0, 1, 101)
"""Shares of the faces that lie below the kept quantiles."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Spread(_Part):
    """A quantity's distribution: `quantiles` at LEVELS, from the smallest value to the largest."""

    count: int
    mean: float
    sd: float
    quantiles: tuple[float, ...]

    def below(self, places: np.ndarray, side: Literal["left", "right"] = "left") -> np.ndarray:
        """Share of the faces below each place (`left`), or at it too (`right`)."""
        values = np.array(self.quantiles)
        after = np.searchsorted(values, places, side)
        above = np.clip(after, 1, len(values) - 1)
        low, high = values[above - 1], values[above]
        part = np.divide(places - low, high - low, out=np.zeros(len(places)), where=high > low)
        inside = LEVELS[above - 1] + part * (LEVELS[above] - LEVELS[above - 1])
        return np.where(after == 0, 0.0, np.where(after == len(values), 1.0, inside))


class Embeddings(_Part):
    """Embeddings of unit length by their mean, the length of which is their mean cosine to it.

    persons: how many equally photographed persons tell as much, (sum n)^2 / sum n^2 with n the
    faces of each (Kish, Survey Sampling, 1965). widest: share of the variance that lies along one
    direction, at most; 1/128 were the embeddings a ball.
    """

    count: int
    persons: float
    mean: tuple[float, ...]
    widest: float

    @property
    def spread(self) -> float:
        """Root mean square distance of the embeddings from their mean, 0..1."""
        return math.sqrt(max(0.0, 1 - float(np.square(self.mean).sum())))


class Profile(_Part):
    """The training split of a data set. What was not measured of it is left out."""

    version: Literal[1] = 1
    faces: int
    persons: int
    grey_share: float | None
    quantities: dict[str, Spread]
    embedding: Embeddings | None


def of(faces: pd.DataFrame) -> Profile:
    """The profile of the training split of `faces`, a table like `manifest.FACES`."""
    train = faces[faces["split"] == "train"]
    sides = train[["right", "bottom"]].to_numpy(float) - train[["left", "top"]].to_numpy(float)
    measured = train.assign(face_size=sides.max(axis=1, initial=0))
    spreads = {name: _spread(measured[name]) for name in QUANTITIES}
    return Profile(
        faces=len(train),
        persons=int(train["person"].nunique()),
        grey_share=_rounded(train["grey"].mean()) if len(train) else None,
        quantities={name: spread for name, spread in spreads.items() if spread},
        embedding=_embedding(train),
    )


def parse(text: str) -> Profile | None:
    """The profile that `text`, JSON, holds; None for what is none, or of another version."""
    try:
        found = Profile.model_validate_json(text)
    except ValidationError:
        return None
    whole = all(len(one.quantiles) == len(LEVELS) for one in found.quantities.values())
    return found if whole else None


def read(path: Path) -> Profile:
    """The profile in a file; UserError where there is none."""
    try:
        found = parse(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; `dvc repro validate` writes it") from None
    if found is None:
        raise UserError(f"{path}: not a profile of this version; `dvc repro -f validate` writes it")
    return found


def _spread(column: pd.Series) -> Spread | None:
    values = np.sort(pd.to_numeric(column).to_numpy(float))
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return Spread(
        count=len(values),
        mean=_rounded(values.mean()),
        sd=_rounded(values.std()),
        quantiles=tuple(_rounded(value) for value in np.quantile(values, LEVELS)),
    )


def _embedding(train: pd.DataFrame) -> Embeddings | None:
    known = train[train["embedding"].notna()]
    if known.empty:
        return None
    each = known["person"].value_counts().to_numpy(float)
    vectors = np.stack(known["embedding"].to_list())
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False, bias=True))
    return Embeddings(
        count=len(known),
        persons=_rounded(each.sum() ** 2 / np.square(each).sum()),
        mean=tuple(_rounded(value) for value in vectors.mean(axis=0, dtype=float)),
        widest=_rounded(variances.max() / max(variances.sum(), 1e-12)),
    )


def _rounded(value: float) -> float:
    """Without the last digits, in which processors may differ."""
    return round(float(value), 6)
