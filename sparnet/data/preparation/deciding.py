"""Which faces are taken, why not the others, whose they are and into which split they go.

All of it is quick and follows from what was seen, so that other limits need no new look.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparnet.config import FaceSearch, Prepare
from sparnet.data import likeness, manifest
from sparnet.data.preparation import people
from sparnet.faces import alignment
from sparnet.faces.framing import ffhq

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Reason = Literal[
    "unreadable",
    "excluded",
    "too_small",
    "duplicate",
    "no_face",
    "upside_down",
    "small_face",
    "unsure_face",
    "turned_away",
    "blurred",
    "drawn",
    "cut_off",
    "near_duplicate",
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]

_EMBEDDED = 128
_CROWD = 0.5
"""A group of unnamed faces larger than this part of a held-out split would be too much of it, and
may be several people that a chain of look-alikes links: it is trained on."""

_ONE_PERSON = 0.95  # cosine; of two pictures of one person it is mostly above 0.9


class Refused(NamedTuple):
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Decision:
    """Candidates that are taken, in the order of their ids, and what is wrong with the others."""

    taken: pd.DataFrame
    refused: list[tuple[str, Refused]]
    """(id of the candidate, why)"""


def decide(candidates: pd.DataFrame, settings: Prepare, seed: int) -> Decision:
    """Judge the candidates: rows of looking.SEEN with the columns `id`, `picture` and `named`.

    `named` is the person that the source names, or None. The taken ones gain `person`,
    `person_from` and `split`.
    """
    judged = [judge(row, settings) for row in manifest.records(candidates)]
    refused = [
        (id, verdict) for id, verdict in zip(candidates["id"], judged, strict=True) if verdict
    ]
    taken = candidates[[verdict is None for verdict in judged]].reset_index(drop=True)
    if settings.near_duplicates is not None:
        copies = near_duplicates(taken, settings.near_duplicates)
        refused += [(taken["id"][place], verdict) for place, verdict in copies.items()]
        taken = taken.drop(index=list(copies)).reset_index(drop=True)
    return Decision(_with_persons(taken, settings, seed), refused)


def judge(row: dict[str, Any], settings: Prepare) -> Refused | None:
    """What keeps one candidate out by itself; the first of the reasons, in their order."""
    if row["problem"] is not None:
        return Refused("unreadable", row["problem"])
    if any(fnmatchcase(row["file"], pattern) for pattern in settings.exclude):
        return Refused("excluded", "named in prepare.exclude")
    width, height = int(row["width"]), int(row["height"])
    if min(width, height) < settings.min_side:
        least = settings.min_side
        return Refused("too_small", f"{width}x{height}, the shorter side is below {least}")
    if settings.faces is None:
        return None
    found = row["points"] is not None
    if not found and settings.faces.without_face == "refuse":
        if row["upside_down"]:
            return Refused("upside_down", "a face is found when the picture is turned by 180")
        return Refused("no_face", "no upright face is found")
    return (_unlike_a_face(row, settings.faces) if found else None) or _poor(row, settings.faces)


def near_duplicates(faces: pd.DataFrame, limit: int) -> dict[int, Refused]:
    """Row -> why, for each that is nearly another's picture: the largest and sharpest stays.

    Faces whose hashes differ in at most `limit` bits are, unless they are plainly not one person's.
    """
    hashes, mirrored = (likeness.unpacked(faces[name]) for name in ("phash", "phash_mirrored"))
    near = [pair[:2] for pair in likeness.near_pairs(hashes, mirrored, limit)]
    labels = likeness.linked(_of_one_person(near, _embeddings(faces)), len(faces))
    side = np.minimum(faces["right"] - faces["left"], faces["bottom"] - faces["top"])
    order = faces.assign(side=-side, blur=-faces["sharpness"], label=labels)
    order = order.sort_values(["label", "side", "blur", "id"])
    best = order["label"].map(order.groupby("label")["id"].first())
    return {
        int(place): Refused("near_duplicate", f"nearly the picture of {best[place]}")
        for place in sorted(order.index[order["id"] != best])
    }


def split_of(person: str, seed: int, val: float, test: float) -> Split:
    """The split of all of a person's pictures; who else there is does not matter."""
    digest = hashlib.sha256(f"{seed}\0split\0{person}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "val" if place < test + val else "train"


def _unlike_a_face(row: dict[str, Any], limits: FaceSearch) -> Refused | None:
    side = max(row["right"] - row["left"], row["bottom"] - row["top"])
    if side < limits.min_side:
        return Refused("small_face", f"{side:.0f} pixels, below {limits.min_side}")
    if row["score"] < limits.min_score:
        return Refused("unsure_face", f"score {row['score']:.2f}, below {limits.min_score:g}")
    if row["turned"] > limits.max_turned:
        return Refused("turned_away", f"{row['turned']:.3f}, above {limits.max_turned:g}")
    outside = _outside(row) if "ffhq" in limits.framing.model_dump().values() else 0.0
    if outside > limits.max_outside:
        return Refused("cut_off", f"{outside:.0%} of the framed face lies outside of the picture")
    return None


def _poor(row: dict[str, Any], limits: FaceSearch) -> Refused | None:
    if row["sharpness"] < limits.min_sharpness:
        return Refused("blurred", f"sharpness {row['sharpness']:g}, below {limits.min_sharpness:g}")
    if row["drawn"] > limits.max_drawn:
        return Refused("drawn", f"looks drawn by {row['drawn']:.2f}, above {limits.max_drawn:g}")
    return None


def _outside(row: dict[str, Any]) -> float:
    size = alignment.FFHQ_SIZE
    matrix = ffhq(np.reshape(row["points"], (-1, 2)), size)
    return alignment.outside(matrix, size, int(row["width"]), int(row["height"]))


def _with_persons(faces: pd.DataFrame, settings: Prepare, seed: int) -> pd.DataFrame:
    # A source names one person a picture: the largest face's. The same file is the same key.
    names = [
        name if isinstance(name, str) and face == 0 else None
        for name, face in zip(faces["named"], faces["face"], strict=True)
    ]
    keys = [
        f"sha256:{sha256}" + (f"-{face + 1}" if face else "")
        for sha256, face in zip(faces["sha256"], faces["face"], strict=True)
    ]
    same = settings.faces.same_person if settings.faces else 1.0
    persons = people.grouped(_embeddings(faces), names, keys, same)
    origins = [
        "source" if name else "picture" if embedding is None else "embedding"
        for name, embedding in zip(names, faces["embedding"], strict=True)
    ]
    named = {name for name in names if name}
    most = _CROWD * min(settings.val, settings.test) * len(faces)
    crowds = {person for person, count in Counter(persons).items() if count > most} - named
    splits: list[Split] = [
        "train" if person in crowds else split_of(person, seed, settings.val, settings.test)
        for person in persons
    ]
    return faces.assign(person=persons, person_from=origins, split=splits)


def _of_one_person(
    pairs: list[tuple[int, int]], embeddings: NDArray[np.float32]
) -> list[tuple[int, int]]:
    """The pairs whose embeddings do not speak against it."""
    return [(i, j) for i, j in pairs if not embeddings[i] @ embeddings[j] < _ONE_PERSON]


def _embeddings(faces: pd.DataFrame) -> NDArray[np.float32]:
    together = np.full((len(faces), _EMBEDDED), np.nan, np.float32)
    for place, embedding in enumerate(faces["embedding"]):
        if embedding is not None:
            together[place] = embedding
    return together
