"""What a validation found: one outcome per expectation, the same bytes each time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
Status = Literal["passed", "failed", "skipped"]

LISTED = 100
"""Failing rows at most named for one rule."""


@dataclass(frozen=True)
class Outcome:
    """One expectation's verdict; `failing` counts the rows that break it."""

    table: str
    rule: str
    title: str
    severity: Severity
    status: Status
    limit: str
    """What was asked, in words."""
    observed: Any = None
    checked: int = 0
    failing: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    """The first LISTED failing rows: their keys, and the value that fails."""
    reason: str = ""
    """Why it was skipped, or could not be computed."""

    @property
    def name(self) -> str:
        return f"{self.table}.{self.rule}"


@dataclass(frozen=True)
class Histogram:
    """Draws of one parameter in equal bins of low..high (uniform), or by value (choice)."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True)
class Distribution:
    """The draws of one parameter of one model, beside what its preset says."""

    model: str
    preset: str
    parameter: str
    expected: str
    count: int
    distance: float | None
    limit: float | None
    judged: bool
    """Whether there are draws enough for a verdict."""
    histogram: Histogram


@dataclass(frozen=True)
class ValidationResult:
    """All outcomes in the order of the suites, and the distributions behind `draws`."""

    outcomes: tuple[Outcome, ...]
    distributions: tuple[Distribution, ...] = ()
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Rows looked at, by table."""

    @property
    def failed_critical(self) -> tuple[Outcome, ...]:
        return self._failed("critical")

    @property
    def failed_warnings(self) -> tuple[Outcome, ...]:
        return self._failed("warning")

    def to_json(self) -> dict[str, Any]:
        """Plain, finite values only, without times; `files.write_json` sorts the keys."""
        return {
            "success": not self.failed_critical,
            "failed_critical": [outcome.name for outcome in self.failed_critical],
            "failed_warnings": [outcome.name for outcome in self.failed_warnings],
            "rows": dict(self.counts),
            "rules": [dataclasses.asdict(outcome) for outcome in self.outcomes],
            "draws": [dataclasses.asdict(one) for one in self.distributions],
        }

    def html(self) -> str:
        """The report: one self-contained page."""
        from sparnet.data.validation.report import page

        return page(self)

    def message(self) -> str:
        """One line that names the failed critical rules and their first files."""
        return "; ".join(_line(outcome) for outcome in self.failed_critical)

    def _failed(self, severity: Severity) -> tuple[Outcome, ...]:
        return tuple(
            outcome
            for outcome in self.outcomes
            if outcome.status == "failed" and outcome.severity == severity
        )


def _line(outcome: Outcome) -> str:
    asked = f"{outcome.name} ({outcome.title}; {outcome.limit})"
    if not outcome.rows:
        return f"{asked}: {outcome.reason or f'observed {outcome.observed}'}"
    first = ", ".join(" ".join(str(value) for value in row.values()) for row in outcome.rows[:3])
    more = ", ..." if outcome.failing > 3 else ""
    return f"{asked}: {outcome.failing} of {outcome.checked}: {first}{more}"
