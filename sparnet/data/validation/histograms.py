"""Drawn parameters beside what their preset says, counted for the report."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sparnet.data.validation import facts
from sparnet.data.validation.presets import Choice, Uniform
from sparnet.data.validation.result import Distribution, Histogram

_BINS = 16


def distributions(pairs: pd.DataFrame) -> tuple[Distribution, ...]:
    """One per model and drawn parameter, in the order of the presets."""
    measured = facts.draws(pairs).to_dict("records")
    return tuple(
        Distribution(
            model=model,
            preset=preset,
            parameter=draw.name,
            expected=row["expected"],
            count=row["count"],
            distance=_finite(row["distance"]),
            limit=_finite(row["limit"]),
            judged=row["count"] >= facts.ENOUGH_DRAWS,
            histogram=_histogram(draw.spread, values),
        )
        for row, (model, preset, draw, values) in zip(measured, facts.drawn(pairs), strict=True)
    )


def _histogram(spread: Uniform | Choice, values: pd.Series) -> Histogram:
    if isinstance(spread, Choice):
        shares = spread.shares.items()
        return Histogram(
            labels=tuple("none" if value is None else str(value) for value, _ in shares),
            counts=tuple(round(spread.share(values, value) * len(values)) for value, _ in shares)
            if len(values)
            else (0,) * len(shares),
            expected=tuple(share * len(values) for _, share in shares),
        )
    edges = _edges(spread)
    counts, _ = np.histogram(values.to_numpy(float), edges)
    widths = np.diff(edges) / (edges[-1] - edges[0])
    return Histogram(
        labels=tuple(f"{edge:.4g}" for edge in edges),
        counts=tuple(counts.tolist()),
        expected=tuple((widths * len(values)).round(6).tolist()),
    )


def _edges(spread: Uniform) -> np.ndarray:
    """Equal bins; those of a stepped draw hold whole steps, so that all are equally likely."""
    if spread.step is None:
        return np.linspace(spread.low, spread.high, _BINS + 1)
    steps = round((spread.high - spread.low) / spread.step) + 1
    per_bin = math.ceil(steps / _BINS)
    bins = np.append(np.arange(0, steps, per_bin), steps)
    return spread.low + (bins - 0.5) * spread.step


def _finite(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None
