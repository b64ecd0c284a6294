"""The page on which a person sees in a minute what preparation took, what it refused and why.

Self-contained, the same bytes for the same data. Pictures are read one at a time and shown as
small JPEGs, so few of them that the page stays small for a collection of any size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sparnet import pages
from sparnet.data import manifest
from sparnet.data.preparation.deciding import REASONS, SPLITS
from sparnet.data.preparation.thumbnails import Row, Thumbnail, Thumbnails, address
from sparnet.files import write_text

COLUMNS = (
    *("id", "picture", "file", "split", "person", "person_from", "embedding"),
    *("score", "turned", "sharpness", "brightness", "drawn", "letterbox", "watermark"),
    "blockiness",
)
"""What the page needs of faces.parquet."""

REFUSED_SHOWN, KEPT_SHOWN, DOUBTFUL_SHOWN = 48, 40, 8
PERSONS_SHOWN, FACES_OF_A_PERSON = 10, 6

TITLES = {
    "unreadable": ("Cannot be read", None),
    "excluded": ("Ruled out by hand", "exclude"),
    "too_small": ("Too small a picture", "min_side"),
    "duplicate": ("The same picture again", None),
    "no_face": ("No face found", "faces.without_face"),
    "upside_down": ("Upside down", "faces.without_face"),
    "small_face": ("Too small a face", "faces.min_side"),
    "unsure_face": ("Not surely a face", "faces.min_score"),
    "turned_away": ("Turned away", "faces.max_turned"),
    "blurred": ("Too little detail", "faces.min_sharpness"),
    "drawn": ("Looks drawn", "faces.max_drawn"),
    "cut_off": ("Cut off by the edge of the picture", "faces.max_outside"),
    "near_duplicate": ("Nearly the same picture again", "near_duplicates"),
}
"""Reason -> what a person reads, and the parameter below `prepare` that decides, if any."""

_COPIES = ("duplicate", "near_duplicate")

_DOUBTS = (
    ("score", "least", "Least sure to be a face"),
    ("turned", "most", "Turned the farthest"),
    ("sharpness", "least", "Least detail"),
    ("brightness", "least", "Darkest"),
    ("brightness", "most", "Brightest"),
    ("drawn", "most", "Looks drawn the most"),
    ("letterbox", "most", "Widest bars at the edges"),
    ("watermark", "most", "Most like watermarked"),
    ("blockiness", "most", "Strongest JPEG blocks"),
)


class Shot(NamedTuple):
    """One thumbnail: its data address, None where there is no picture, and a word below it."""

    address: str | None
    label: str = ""


class Card(NamedTuple):
    shots: list[Shot]
    text: str
    row: Row


class Gallery(NamedTuple):
    """A section of cards, some of `total` that there are."""

    key: str
    title: str
    total: int
    cards: list[Card]
    note: str = ""


def write(path: Path, raw: Path, prepared: Path, framings: Mapping[int, str]) -> None:
    """Write the page about the folders `raw` and `prepared` to `path`.

    framings: size -> how the faces of that size are framed, as of `Prepare.framing_of_size`; the
    least size of each framing is shown.
    """
    faces = manifest.read(prepared / manifest.FACES_NAME, manifest.FACES, list(COLUMNS))
    quarantine = manifest.read(prepared / manifest.QUARANTINE_NAME, manifest.QUARANTINE)
    pictures = manifest.count(raw / manifest.NAME)
    write_text(path, page(faces, quarantine, pictures, Thumbnails.of(raw, prepared, framings)))


def page(faces: pd.DataFrame, quarantine: pd.DataFrame, raw: int, thumbnails: Thumbnails) -> str:
    """The page as HTML.

    faces: COLUMNS of manifest.FACES; quarantine: rows of manifest.QUARANTINE, in any order; raw:
    number of raw pictures. What the two tables do not account for is said on the page.
    """
    kept = faces.sort_values("id", ignore_index=True)
    refused = quarantine.sort_values("id", ignore_index=True)
    environment = pages.environment(Path(__file__).parent)
    environment.filters["count"] = "{:,}".format
    return environment.get_template("sheet.html.j2").render(
        counts=_counts(kept, refused, raw),
        refused=_refused(kept, refused, thumbnails.source),
        kept=_kept(kept, thumbnails.crops),
        doubtful=_doubtful(kept, _first(thumbnails.crops)),
        persons=_persons(kept, _first(thumbnails.crops)),
    )


def _counts(faces: pd.DataFrame, quarantine: pd.DataFrame, raw: int) -> dict[str, Any]:
    """Pictures and faces, each told apart so that the parts add up to the whole."""
    with_face = set(faces["picture"])
    without = set(quarantine["picture"]) - with_face
    sizes = faces["person"].value_counts()
    persons = faces.drop_duplicates(["split", "person"])
    splits = {
        split: (int((faces["split"] == split).sum()), int((persons["split"] == split).sum()))
        for split in SPLITS
    }
    origins = faces.drop_duplicates("person")["person_from"].value_counts()
    return {
        "raw": raw,
        "with_face": len(with_face),
        "without_face": len(without),
        "missing": raw - len(with_face) - len(without),
        "kept": len(faces),
        "refused": len(quarantine),
        "splits": splits,
        "persons": len(sizes),
        "alone": int((sizes == 1).sum()),
        "origins": {name: int(origins[name]) for name in sorted(origins.index)},
        "in_two_splits": len(persons) - len(sizes),
    }


def _refused(faces: pd.DataFrame, quarantine: pd.DataFrame, source: Thumbnail) -> list[Gallery]:
    """A gallery for each reason that occurs, in the order in which they are looked for."""
    known: list[str] = list(REASONS)
    unknown = sorted(set(quarantine["reason"]) - set(known))
    originals = _Originals(faces, quarantine)
    galleries = []
    for reason in known + unknown:
        rows = quarantine[quarantine["reason"] == reason]
        if rows.empty:
            continue
        order = sorted(range(len(rows)), key=lambda place: _natural(rows["detail"].iloc[place]))
        cards = []
        for row in _evenly(rows.iloc[order], REFUSED_SHOWN):
            other = originals.of(row) if reason in _COPIES else []
            shots = [Shot(address(source(row)), "refused" if other else "")]
            shots += [Shot(address(source(each)), fate) for each, fate in other]
            cards.append(Card(shots, row["detail"], row))
        title, parameter = TITLES.get(reason, (reason.replace("_", " ").capitalize(), None))
        note = f"prepare.{parameter}" if parameter else ""
        galleries.append(Gallery(reason, title, len(rows), cards, note))
    return galleries


class _Originals:
    """The face or picture that a refused copy is a copy of: the last word of its detail."""

    def __init__(self, faces: pd.DataFrame, quarantine: pd.DataFrame) -> None:
        self._tables = [
            (faces.drop_duplicates("id").set_index("id", drop=False), "kept"),
            (faces.drop_duplicates("picture").set_index("picture", drop=False), "kept"),
            (quarantine.drop_duplicates("id").set_index("id", drop=False), "refused"),
        ]

    def of(self, row: Row) -> list[tuple[Row, str]]:
        """[(row, what became of it)], or [] where it is not known."""
        key = row["detail"].rsplit(" ", 1)[-1]
        for table, fate in self._tables:
            if key in table.index:
                return [(dict(table.loc[key]), fate)]
        return []


def _kept(faces: pd.DataFrame, crops: Mapping[str, Thumbnail]) -> Gallery:
    cards = []
    for row in _evenly(faces, KEPT_SHOWN):
        shots = [
            Shot(address(cut(row)), title if len(crops) > 1 else "") for title, cut in crops.items()
        ]
        cards.append(Card(shots, row["split"], row))
    return Gallery("kept", "Kept, as they were cut out", len(faces), cards)


def _doubtful(faces: pd.DataFrame, crop: Thumbnail) -> list[Gallery]:
    """The kept faces at the end of each measure: those that a stricter limit would refuse first."""
    galleries = []
    for column, end, title in _DOUBTS:
        values = faces[column].dropna().astype(float)
        if values.nunique() < 2:
            continue
        order = (values if end == "least" else -values).sort_values(kind="stable")
        rows = manifest.records(faces.loc[order.index[:DOUBTFUL_SHOWN]])
        cards = [Card([Shot(address(crop(row)))], f"{row[column]:.3g}", row) for row in rows]
        galleries.append(Gallery(f"{end}-{column}", title, len(values), cards, column))
    return galleries


def _persons(faces: pd.DataFrame, crop: Thumbnail) -> list[Gallery]:
    """The persons of the most faces, each from the most typical face to the least alike."""
    sizes = faces["person"].value_counts()
    largest = sorted(sizes[sizes > 1].items(), key=lambda item: (-item[1], item[0]))
    galleries = []
    for person, count in largest[:PERSONS_SHOWN]:
        own = faces[faces["person"] == person]
        if own["embedding"].notna().all():
            own = _by_likeness(own)
        cards = [
            Card([Shot(address(crop(row)))], f"{row['alike']:.2f}" if "alike" in row else "", row)
            for row in _evenly(own, FACES_OF_A_PERSON)
        ]
        galleries.append(Gallery("person", str(person), count, cards, own["split"].iloc[0]))
    return galleries


def _by_likeness(faces: pd.DataFrame) -> pd.DataFrame:
    """With the column `alike`, the cosine to the mean of all their embeddings, falling."""
    embeddings = np.stack(list(faces["embedding"])).astype(np.float64)
    mean = embeddings.mean(axis=0)
    alike = np.round(embeddings @ mean / max(float(np.linalg.norm(mean)), 1e-9), 4)
    return faces.assign(alike=alike).sort_values("alike", ascending=False, kind="stable")


def _first(crops: Mapping[str, Thumbnail]) -> Thumbnail:
    return next(iter(crops.values()))


def _evenly(table: pd.DataFrame, most: int) -> list[Row]:
    """`most` of the rows, evenly spread from the first to the last."""
    last = len(table) - 1
    if last >= most:
        table = table.iloc[[round(place * last / (most - 1)) for place in range(most)]]
    return list(manifest.records(table))


def _natural(text: str) -> list[str | float]:
    """A key that sorts texts by the numbers in them."""
    parts = re.split(r"(-?\d+(?:\.\d+)?)", text)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]
