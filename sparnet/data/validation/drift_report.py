"""What was found of drift: a table for people and one for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparnet import files
from sparnet.config import Drift
from sparnet.data.validation import drift
from sparnet.data.validation.drift import Row
from sparnet.data.validation.profile import Profile, Spread
from sparnet.data.validation.reference import Reference
from sparnet.data.validation.report import render
from sparnet.data.validation.result import Histogram, Outcome

TABLE, PAGE = "drift.json", "index.html"
_BINS = 16


@dataclass(frozen=True)
class Comparison:
    """The new data beside those of a reference; an outcome a row, in one order."""

    reference: Reference
    new: Profile
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "champions": {one.name: one.version for one in self.reference.champions},
            "faces": {"champion": self.reference.profile.faces, "new": self.new.faces},
            "severity": self.outcomes[0].severity,
            "rows": [
                dataclasses.asdict(row) | {"status": outcome.status}
                for row, outcome in zip(self.rows, self.outcomes, strict=True)
            ],
        }

    def histograms(self) -> list[tuple[Row, Outcome, Histogram | None]]:
        """Each row with its faces counted: the new ones, expected as many as of the reference."""
        theirs, ours = self.reference.profile.quantities, self.new.quantities
        return [
            (row, outcome, _histogram(theirs.get(row.quantity), ours.get(row.quantity)))
            for row, outcome in zip(self.rows, self.outcomes, strict=True)
        ]


def of(new: Profile, references: Sequence[Reference], limits: Drift) -> tuple[Comparison, ...]:
    """The new data beside each reference."""
    found = []
    for reference in references:
        rows = drift.compare(reference.profile, new, limits)
        found.append(Comparison(reference, new, rows, drift.judge(rows, reference.name, limits)))
    return tuple(found)


def write(folder: Path, profile: Path, comparisons: Sequence[Comparison], note: str) -> None:
    """Write TABLE and PAGE; `note` says why nothing is compared. `profile`: file of the new one."""
    table = {
        "comparisons": [comparison.to_json() for comparison in comparisons],
        "note": note,
        "profile_sha256": files.sha256(profile),
    }
    page = render("drift.html.j2", comparisons=comparisons, note=note, words=drift.WORDS)
    files.write_text(folder / PAGE, page)
    files.write_json(folder / TABLE, table)


def read(folder: Path, profile: Path) -> list[dict[str, Any]]:
    """The comparisons in TABLE; none where it is missing or about another profile."""
    try:
        table = json.loads((folder / TABLE).read_text())
        return table["comparisons"] if table["profile_sha256"] == files.sha256(profile) else []
    except FileNotFoundError:
        return []


def _histogram(reference: Spread | None, new: Spread | None) -> Histogram | None:
    """Equal bins from the first to the last hundredth of the faces; the rest in the outer bins."""
    if reference is None or new is None:
        return None
    ends = np.array([reference.quantiles, new.quantiles])[:, [1, -2]]
    edges = np.linspace(ends[:, 0].min(), ends[:, 1].max(), _BINS + 1)
    if edges[0] == edges[-1]:
        return None
    shares = [np.diff([0.0, *one.below(edges[1:-1]), 1.0]) for one in (new, reference)]
    return Histogram(
        labels=tuple(f"{edge:.4g}" for edge in edges),
        counts=tuple(int(count) for count in (shares[0] * new.count).round()),
        expected=tuple((shares[1] * new.count).round(6).tolist()),
    )
