"""What a training has measured so far: the rows of its CSV, and the means still being gathered."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sparnet import files

Row = dict[str, float]


@dataclass
class History:
    """Progress of a training in plain numbers, which survive JSON unchanged.

    step: updates asked for. rows: one a logging step. best_psnr, best_step: the best validation.
    stale: validations since then. ended: whether it ended early. skipped, skipped_in_a_row:
    updates left out because they were not finite.
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    best_psnr: float | None = None
    best_step: int | None = None
    stale: int = 0
    ended: bool = False
    skipped: int = 0
    skipped_in_a_row: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0

    def gather(self, terms: Mapping[str, float]) -> None:
        """Add one update's terms to those of the next row."""
        self.skipped_in_a_row = 0
        self.summed += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def skip(self) -> None:
        """Count an update that was left out."""
        self.skipped += 1
        self.skipped_in_a_row += 1

    def means(self) -> Row:
        """The terms' means since this was last called; the gathering starts anew."""
        means = {name: total / self.summed for name, total in self.sums.items()}
        self.sums, self.summed = {}, 0
        return means

    def offer(self, psnr: float) -> bool:
        """Note a validation; True where it is better than all before."""
        if self.best_psnr is not None and psnr <= self.best_psnr:
            self.stale += 1
            return False
        self.best_psnr, self.best_step, self.stale = psnr, self.step, 0
        return True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def write_csv(self, path: Path) -> None:
        """A line a row; a cell is empty where the row lacks the column."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.8g}" for name, value in row.items()} for row in self.rows)
        files.write_text(path, stream.getvalue())
