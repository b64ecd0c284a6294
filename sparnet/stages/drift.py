"""How far the data are from the champions': `python -m sparnet.stages.drift`.

The stage `validate` measures it; this measures again, against the champions of today. What is
written depends on the registry, so it is no out of the graph: a new champion makes nothing stale.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import get_args

from sparnet.config import Params
from sparnet.data.pairing import ModelName
from sparnet.data.validation import drift_report, profile, reference
from sparnet.data.validation.drift_report import Comparison
from sparnet.data.validation.reference import Reference
from sparnet.data.validation.result import ValidationResult
from sparnet.errors import UserError
from sparnet.stages.common import run, tracking_of
from sparnet.tracking import Registry, is_absent

PROFILE, REPORTS = Path("reports/validation/profile.json"), Path("reports/drift")
_NO_REFERENCE = "no champion with a data profile: drift not measured"


def main(params: Params) -> None:
    """Compare the profile in PROFILE with the champions', and write REPORTS.

    Raises UserError where a drift over its limit is critical, and then too where the registry
    cannot be asked.
    """
    new = profile.read(PROFILE)
    references, note = _references(params)
    comparisons = drift_report.of(new, references, params.validate_.drift)
    drift_report.write(REPORTS, PROFILE, comparisons, note)
    if note:
        print(note)
    for comparison in comparisons:
        _tell(comparison)
    found = ValidationResult(tuple(chain.from_iterable(one.outcomes for one in comparisons)))
    if found.failed_critical:
        raise UserError(
            f"the data drifted: {found.message()}; see {REPORTS / drift_report.PAGE}; "
            "to go on with them, change the limit or the severity in validate.drift"
        )


def _references(params: Params) -> tuple[list[Reference], str]:
    """What to compare with, or why there is nothing."""
    uri = tracking_of(params).uri
    if is_absent(uri):
        return [], _NO_REFERENCE
    try:
        found = reference.of_champions(Registry(uri), get_args(ModelName))
    except UserError as error:
        if params.validate_.drift.severity == "critical":
            raise UserError(f"drift cannot be measured, and is critical: {error}") from None
        print(f"warning: drift not measured: {error}", file=sys.stderr)
        return [], f"the registry did not answer: drift not measured ({error})"
    return found, "" if found else _NO_REFERENCE


def _tell(comparison: Comparison) -> None:
    page, name = REPORTS / drift_report.PAGE, comparison.reference.name
    for row, outcome in zip(comparison.rows, comparison.outcomes, strict=True):
        if outcome.status == "failed" and outcome.severity == "warning":
            print(f"warning: drift from champion {name}: {row}; see {page}", file=sys.stderr)
    judged = [outcome.status for outcome in comparison.outcomes if outcome.status != "skipped"]
    print(
        f"{page}: {judged.count('passed')} of {len(judged)} quantities are within their limits "
        f"of champion {name}"
    )


if __name__ == "__main__":
    run(main)
