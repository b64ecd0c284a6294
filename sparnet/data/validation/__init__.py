"""Great Expectations over the prepared faces, the photographs they come from, and their pairs.

`suites/` says what must hold, `facts` and `defects` make the tables it is said of, `presets` knows
what a degradation may draw, `expectations` runs the suites, `result` and `report` tell what was
found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparnet.config import Validate
from sparnet.data.validation import defects, expectations, facts
from sparnet.data.validation.facts import ENOUGH_DRAWS, Settings
from sparnet.data.validation.histograms import distributions
from sparnet.data.validation.result import Outcome, ValidationResult

__all__ = ["KEYS", "Settings", "ValidationResult", "validate"]

KEYS: Mapping[str, list[str]] = {
    "schema": ["table", "column"],
    "collection": ["raw", "kept", "listed"],
    "faces": ["id", "size", "split", "shard"],
    "photographs": ["id", "file"],
    "pairs": ["model", "id", "variant", "hr_shard", "hr_member"],
    "draws": ["model", "parameter"],
}
"""Table -> the columns that name a failing row; the tables in the order they are checked."""


def validate(
    faces: pd.DataFrame,
    pairs: pd.DataFrame,
    summary: Mapping[str, Any],
    limits: Validate,
    settings: Settings,
    photographs: pd.DataFrame | None = None,
) -> ValidationResult:
    """Check both manifests, the preparation's summary (raw, kept, quarantined) and photographs.

    photographs: the rows of faces.parquet; a picture is then grey where an eye finds it so, else
    where its channels are equal. With a column missing or of the wrong kind, the rules
    behind the schema are skipped.
    """
    given = parameters(limits, settings)
    outcomes = check("schema", facts.columns(faces, pairs), given)
    counts = {"faces": len(faces), "pairs": len(pairs)}
    if photographs is not None:
        counts["photographs"] = len(photographs)
    if any(outcome.status == "failed" for outcome in outcomes):
        for table in list(KEYS)[1:]:
            outcomes += expectations.skip(table, "the manifests' columns are not as expected")
        return ValidationResult(tuple(outcomes), counts=counts)
    frames = tables(faces, pairs, summary, settings)
    if photographs is not None:
        largest = settings.sizes.distinct()[-1]
        frames["photographs"] = defects.table(photographs, limits.photographs, largest)
        frames["collection"]["grey_share"] = float(photographs["grey"].mean())
    for table in list(KEYS)[1:]:
        if table in frames:
            outcomes += check(table, frames[table], given)
        else:
            outcomes += expectations.skip(table, "no photographs were looked at")
    return ValidationResult(tuple(outcomes), distributions(pairs), counts)


def tables(
    faces: pd.DataFrame, pairs: pd.DataFrame, summary: Mapping[str, Any], settings: Settings
) -> dict[str, pd.DataFrame]:
    """The tables that the suites of the same names look at."""
    return {
        "collection": facts.collection(faces, summary),
        "faces": facts.faces(faces, pairs, settings),
        "pairs": facts.pairs(faces, pairs, settings),
        "draws": facts.draws(pairs),
    }


def parameters(limits: Validate, settings: Settings) -> dict[str, Any]:
    """The values of the suites' parameters; None: no limit is given."""
    sizes = settings.sizes.distinct()
    given: dict[str, Any] = {
        "min_pictures": limits.min_pictures,
        "max_quarantined_share": limits.max_quarantined_share,
        "max_grey_share": limits.max_grey_share,
        "min_std": limits.min_std,
        "sizes": sizes,
        "size_count": len(sizes),
    }
    for model in settings.sizes.model_dump():
        band = limits.bicubic_psnr_mean.get(model)  # type: ignore[call-overload]
        given[f"psnr_low_{model}"] = band and band.low
        given[f"psnr_high_{model}"] = band and band.high
    return given | defects.parameters(limits.photographs)


def check(table: str, frame: pd.DataFrame, given: Mapping[str, Any]) -> list[Outcome]:
    """Run one table's suite; parameters with too few draws are not judged."""
    if table == "draws":
        frame = frame[frame["count"] >= ENOUGH_DRAWS]
        if frame.empty:
            return expectations.skip(table, f"no parameter has {ENOUGH_DRAWS} draws")
    return expectations.run(table, frame, KEYS[table], given)
