"""What was seen, kept between runs: an interrupted look goes on, and only new pictures are looked
at when a collection grows.

`.state/prepare/KEY/*.parquet`: tables of SEEN, each written whole. The key names everything that
what is seen depends on, besides the picture's own bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import pandas as pd

import sparnet
from sparnet import files
from sparnet.data import manifest
from sparnet.data.environment import versions
from sparnet.data.preparation.looking import SEEN, DetectorKind, Row
from sparnet.errors import UserError

STATE = Path(".state/prepare")

PICTURES_PER_PART = 200

_KEPT_SECONDS = 30 * 24 * 3600
_CODE = ("images.py", "faces", "data/inspection", "data/likeness.py", "data/preparation/looking.py")


class Memory:
    """What was seen so far by one detector. A context manager: leaving it writes the rest."""

    def __init__(self, state: Path, detector: DetectorKind) -> None:
        self._state = state
        self._folder = state / _key(detector)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._rows: list[Row] = []
        self._pictures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def known(self) -> set[str]:
        """SHA-256 of the pictures that were looked at; a damaged table is deleted."""
        known: set[str] = set()
        for part in self._parts():
            try:
                known.update(manifest.read(part, SEEN, ["sha256"])["sha256"])
            except UserError:
                part.unlink()
        return known

    def add(self, rows: list[Row]) -> None:
        """All rows of one picture."""
        self._rows += rows
        self._pictures += 1
        if self._pictures == PICTURES_PER_PART:
            self._write()

    def recall(self, wanted: Iterable[str]) -> pd.DataFrame:
        """The rows of SEEN of these pictures, by SHA-256 and face."""
        asked = frozenset(wanted)
        tables = [manifest.read(part, SEEN) for part in self._parts()]
        chosen = [table[table["sha256"].isin(asked)] for table in tables]
        together = pd.concat(chosen) if chosen else pd.DataFrame(columns=SEEN.names)
        rows = together.drop_duplicates(["sha256", "face"])
        return rows.sort_values(["sha256", "face"], ignore_index=True)

    def forget_unused(self) -> None:
        """Delete what other detectors, or other versions of them, saw and nobody asked for lately.

        Not at once: an experiment with another detector may be at work beside this one.
        """
        os.utime(self._folder)
        for folder in self._state.iterdir():
            if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def _write(self) -> None:
        if self._rows:
            name = hashlib.sha256("".join(row["sha256"] for row in self._rows).encode()).hexdigest()
            manifest.write(self._folder / f"{name[:32]}.parquet", self._rows, SEEN)
        self._rows, self._pictures = [], 0


def _key(detector: DetectorKind) -> str:
    root = Path(sparnet.__file__).parent
    identity = {
        "detector": detector,
        "code": files.code_sha256(root / name for name in _CODE),
        "packages": versions(),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
