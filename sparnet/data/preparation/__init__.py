"""From raw files to square pictures of the training sizes, split by person.

What cannot be used goes to a quarantine list with its reason; `raw = kept + quarantined` always.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from sparnet.config import Prepare
from sparnet.data import manifest
from sparnet.data.parallel import ordered_map
from sparnet.data.shards import ShardReader, ShardWriter
from sparnet.errors import UserError
from sparnet.files import replacing_folder, write_json
from sparnet.images import (
    Picture,
    UnreadableImage,
    encode_png,
    is_grey,
    read,
    resize,
    sharpness,
)
from sparnet.progress import progress

Split = Literal["train", "val", "test"]
Reason = Literal["unreadable", "too_small", "duplicate"]
RawRow = dict[str, Any]

SPLITS: tuple[Split, ...] = ("train", "val", "test")
REASONS: tuple[Reason, ...] = ("unreadable", "too_small", "duplicate")
QUARANTINE, SUMMARY = "quarantine.parquet", "summary.json"

_STATISTIC_DIGITS = 4  # beyond them, sums depend on the processor's vector width


@dataclass(frozen=True)
class Prepared:
    """One picture at one size, encoded; `row` holds its own columns of the manifest."""

    size: int
    png: bytes
    row: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    reason: Reason
    detail: str


def prepare(raw: Path, folder: Path, settings: Prepare, seed: int, workers: int) -> dict[str, Any]:
    """Replace `folder` by the prepared pictures of the `raw` folder; returns the summary.

    The same bytes come out for any number of workers. Raises UserError where a split stays empty.
    """
    rows = sorted(manifest.rows(raw / manifest.NAME, manifest.RAW), key=lambda row: row["id"])
    unique, copies = _without_copies(rows)
    work = partial(_prepare_one, ShardReader(raw), settings.sizes.distinct(), settings.min_side)
    results = progress(ordered_map(work, unique, workers), len(unique), "prepare")
    with replacing_folder(folder) as temporary:
        with _Output(temporary, settings, seed) as output:
            for row, result in zip(unique, results, strict=True):
                output.add(row, result)
            for row, first in copies:
                output.refuse_copy(row, first)
        summary = output.summary(len(rows))
        _check_splits(summary)
        write_json(temporary / SUMMARY, summary)
    return summary


def split_of(person: str, seed: int, val: float, test: float) -> Split:
    """The split of all of a person's pictures; who else there is does not matter."""
    digest = hashlib.sha256(f"{seed}\0split\0{person}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "val" if place < test + val else "train"


def square(image: Picture) -> Picture:
    """The largest centred square of uint8 HxWx3."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _without_copies(rows: list[RawRow]) -> tuple[list[RawRow], list[tuple[RawRow, str]]]:
    """The first row of each file content, and the other rows with the id of their first."""
    first: dict[str, str] = {}
    unique, copies = [], []
    for row in rows:
        known = first.setdefault(row["sha256"], row["id"])
        if known == row["id"]:
            unique.append(row)
        else:
            copies.append((row, known))
    return unique, copies


def _prepare_one(
    reader: ShardReader, sizes: list[int], min_side: int, row: RawRow
) -> list[Prepared] | Refused:
    try:
        image = read(reader.read(row["shard"], row["file"]))
    except UnreadableImage as error:
        return Refused("unreadable", error.detail)
    height, width = image.shape[:2]
    if min(height, width) < min_side:
        return Refused("too_small", f"{width}x{height}, the shorter side is below {min_side}")
    source = {"source_width": width, "source_height": height}
    return [_at_size(square(image), size, source) for size in sizes]


def _at_size(image: Picture, size: int, source: dict[str, int]) -> Prepared:
    # Bicubic, the filter by which the task defines its own pictures; antialiased when shrinking.
    pixels = resize(image, (size, size), "bicubic")
    mean, std = _mean_and_std(pixels)
    row = source | {
        "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "grey": is_grey(pixels),
        "mean": round(mean, _STATISTIC_DIGITS),
        "std": round(std, _STATISTIC_DIGITS),
        "sharpness": round(sharpness(pixels), _STATISTIC_DIGITS),
    }
    return Prepared(size, encode_png(pixels), row)


def _mean_and_std(pixels: Picture) -> tuple[float, float]:
    """Of all values, on the scale 0..255, from whole numbers."""
    values = pixels.astype(np.int64)
    total, squares = int(values.sum()), int((values * values).sum())
    return total / values.size, (values.size * squares - total**2) ** 0.5 / values.size


class _Output:
    """The files of `data/prepared` while they are written, and the book-keeping behind them."""

    def __init__(self, folder: Path, settings: Prepare, seed: int) -> None:
        self._folder = folder
        self._settings = settings
        self._seed = seed
        self._files = ExitStack()
        self._first_with_pixels: dict[str, str] = {}
        self._refused: dict[str, Refused] = {}
        self._quarantine: list[dict[str, str]] = []
        self._pictures: Counter[Split] = Counter()
        self._persons: dict[Split, set[str]] = {split: set() for split in SPLITS}

    def __enter__(self) -> Self:
        self._manifest = self._files.enter_context(
            manifest.ManifestWriter(self._folder / manifest.NAME, manifest.PREPARED)
        )
        self._shards = {
            (size, split): self._files.enter_context(
                ShardWriter(self._folder, f"{size}-{split}", self._settings.shard_size)
            )
            for size in self._settings.sizes.distinct()
            for split in SPLITS
        }
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            rows = sorted(self._quarantine, key=lambda row: row["id"])
            manifest.write(self._folder / QUARANTINE, rows, manifest.QUARANTINE)
        self._files.__exit__(*failure)

    def add(self, row: RawRow, result: list[Prepared] | Refused) -> None:
        if isinstance(result, Refused):
            self._refuse(row, result)
            return
        hashes = [prepared.row["pixels_sha256"] for prepared in result]
        known = [self._first_with_pixels[key] for key in hashes if key in self._first_with_pixels]
        if known:
            self._refuse(row, Refused("duplicate", f"same pixels as {known[0]}"))
            return
        self._first_with_pixels.update(dict.fromkeys(hashes, row["id"]))
        self._keep(row, result)

    def refuse_copy(self, row: RawRow, first: str) -> None:
        """Refuse a file whose bytes are those of `first`: damaged like it, or a duplicate of it."""
        refused = self._refused.get(first)
        if refused is None or refused.reason == "duplicate":
            refused = Refused("duplicate", f"same file as {first}")
        self._refuse(row, refused)

    def summary(self, raw: int) -> dict[str, Any]:
        reasons = Counter(row["reason"] for row in self._quarantine)
        return {
            "raw": raw,
            "kept": self._pictures.total(),
            "quarantined": len(self._quarantine),
            "reasons": {reason: reasons[reason] for reason in REASONS},
            "sizes": self._settings.sizes.distinct(),
            "splits": {
                split: {"pictures": self._pictures[split], "persons": len(self._persons[split])}
                for split in SPLITS
            },
        }

    def _keep(self, row: RawRow, result: list[Prepared]) -> None:
        person = row["person"] or f"sha256:{row['sha256']}"
        split = split_of(person, self._seed, self._settings.val, self._settings.test)
        self._pictures[split] += 1
        self._persons[split].add(person)
        same = {"split": split, "person": person}
        same |= {key: row[key] for key in ("id", "sha256", "source", "licence")}
        for prepared in result:
            member = f"{row['id']}.png"
            shard = self._shards[prepared.size, split].add(member, prepared.png)
            place = {"size": prepared.size, "shard": shard, "member": member}
            self._manifest.add(same | place | prepared.row)

    def _refuse(self, row: RawRow, refused: Refused) -> None:
        self._refused[row["id"]] = refused
        self._quarantine.append(
            {
                "id": row["id"],
                "picture": row["id"],
                "file": row["file"],
                "reason": refused.reason,
                "detail": refused.detail,
            }
        )


def _check_splits(summary: dict[str, Any]) -> None:
    if not summary["kept"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary["reasons"].items())
        raise UserError(f"data/raw: none of its {summary['raw']} pictures can be used ({reasons})")
    persons = sum(split["persons"] for split in summary["splits"].values())
    for name, split in summary["splits"].items():
        if not split["pictures"]:
            cure = "lower val and test" if name == "train" else f"raise {name}"
            raise UserError(
                f"prepare: none of {persons} persons fell into the split {name!r}; {cure}, "
                "add persons or change seed"
            )
