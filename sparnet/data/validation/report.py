"""The validation's page: self-contained, the same bytes for the same result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from sparnet import pages
from sparnet.data.validation.result import Distribution, Histogram, Outcome, ValidationResult

_WIDTH, _HEIGHT = 240, 72
_NAMED = 10


def page(result: ValidationResult) -> str:
    """The result as HTML."""
    return render(
        "report.html.j2",
        result=result,
        tables=[(table, list(rules)) for table, rules in groupby(result.outcomes, _table)],
        models=[(key, list(each)) for key, each in groupby(result.distributions, _model)],
        named=_NAMED,
    )


def render(template: str, **values: Any) -> str:
    """A page from a template of this folder, which can draw histograms with `bars` and `steps`."""
    environment = pages.environment(Path(__file__).parent)
    environment.filters["value"] = _value
    environment.globals.update(bars=_bars, steps=_steps, width=_WIDTH, height=_HEIGHT)
    return environment.get_template(template).render(values)


def _table(outcome: Outcome) -> str:
    return outcome.table


def _model(distribution: Distribution) -> tuple[str, str]:
    return distribution.model, distribution.preset


def _bars(histogram: Histogram) -> Iterator[tuple[float, float, float, float]]:
    """(x, y, width, height) of each count's bar, in pixels."""
    width = _WIDTH / len(histogram.counts)
    for place, count in enumerate(histogram.counts):
        height = round(_HEIGHT * count / _top(histogram), 1)
        yield round(place * width + 1, 1), round(_HEIGHT - height, 1), round(width - 2, 1), height


def _steps(histogram: Histogram) -> str:
    """SVG path of the expected counts, a level line over each bar."""
    width = _WIDTH / len(histogram.expected)
    levels = [_HEIGHT * (1 - count / _top(histogram)) for count in histogram.expected]
    return " ".join(
        f"M{place * width:.1f} {level:.1f}h{width:.1f}" for place, level in enumerate(levels)
    )


def _top(histogram: Histogram) -> float:
    return max(*histogram.counts, *histogram.expected, 1) * 1.05


def _value(value: Any) -> str:
    """A measured value as the page shows it; [smallest, largest] as a range."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(item, int | float) for item in value):
        return " .. ".join(dict.fromkeys(_value(item) for item in value))
    if isinstance(value, Sequence):
        return ", ".join(_value(item) for item in value)
    return str(value)
