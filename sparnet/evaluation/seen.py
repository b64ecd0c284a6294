"""Which faces a model has seen in its training: kept with its version, for fair comparisons.

Today's test faces may have trained an older model: another seed or other shares split the people
anew, and an unnamed person may have another name, and split, once more faces join its group.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from itertools import chain
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from sparnet.tracking import Registry, Version

_FOLDER, _NAME = "data", "seen.json"
_DIGITS = 16  # of a million faces, two have one digest by a chance of 3 in 10^8


class Seen(BaseModel):
    """Digests of the faces and of the persons of the training and the validation split."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    faces: frozenset[str]
    persons: frozenset[str]


def of(prepared: pd.DataFrame) -> Seen:
    """What a model has seen that is trained on the `prepared` pictures, rows of their manifest."""
    rows = prepared[prepared["split"] != "test"]
    return Seen(faces=frozenset(_faces(rows)), persons=frozenset(_persons(rows)))


def keep(registry: Registry, version: Version, seen: Seen) -> None:
    """Keep the list with the version; one that is there already stays."""
    if of_version(registry, version) is not None:
        return
    content = {name: sorted(digests) for name, digests in seen}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        path.write_text(json.dumps(content, separators=(",", ":")))
        registry.attach(version, path, _FOLDER)


def of_version(registry: Registry, version: Version) -> Seen | None:
    """None where it was registered without a list, or with one that cannot be read."""
    text = registry.attached(version, f"{_FOLDER}/{_NAME}")
    try:
        return None if text is None else Seen.model_validate_json(text)
    except ValidationError:
        return None


def strangers(prepared: pd.DataFrame, *lists: Seen) -> set[str]:
    """Ids of the test pictures of people who are in none of the lists, nor is a picture of them."""
    rows = prepared[prepared["split"] == "test"]
    faces = set(chain.from_iterable(one.faces for one in lists))
    persons = set(chain.from_iterable(one.persons for one in lists))
    known = _faces(rows).isin(faces) | _persons(rows).isin(persons)
    return set(rows["id"][~known.groupby(rows["person"]).transform("any")])


def _faces(rows: pd.DataFrame) -> pd.Series:
    """By the bytes of the picture that a face was found in, and which of its faces it is."""
    number = rows["id"].str.replace("^[^~]*", "", regex=True)
    return (rows["sha256"] + number).map(_digest)


def _persons(rows: pd.DataFrame) -> pd.Series:
    return rows["person"].map(_digest)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
