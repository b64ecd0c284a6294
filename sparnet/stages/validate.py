"""Great Expectations over faces and pairs, and drift: `python -m sparnet.stages.validate`.

The report is written before a failed critical expectation stops the pipeline.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

from sparnet.config import Params
from sparnet.data import manifest
from sparnet.data.validation import Settings, profile, validate
from sparnet.errors import UserError
from sparnet.files import write_json, write_text
from sparnet.stages import drift
from sparnet.stages.common import run

PREPARED, PAIRS, REPORTS = Path("data/prepared"), Path("data/pairs"), Path("reports/validation")


def main(params: Params) -> None:
    """Write validation.json, report.html and the data's profile, then measure drift.

    UserError with the rules and files that failed.
    """
    shutil.rmtree(drift.REPORTS, ignore_errors=True)
    seen = manifest.read(PREPARED / manifest.FACES_NAME, manifest.FACES)
    write_json(drift.PROFILE, profile.of(seen).model_dump())
    result = validate(
        manifest.read(PREPARED / manifest.NAME),
        manifest.read(PAIRS / manifest.NAME),
        json.loads((PREPARED / manifest.SUMMARY).read_text()),
        params.validate_,
        Settings(params.prepare.sizes, params.degrade),
        seen,
    )
    page = REPORTS / "report.html"
    write_json(REPORTS / "validation.json", result.to_json())
    write_text(page, result.html())
    for outcome in result.failed_warnings:
        print(f"warning: {outcome.name}: {outcome.title}; see {page}", file=sys.stderr)
    if result.failed_critical:
        raise UserError(f"validation failed: {result.message()}; see {page}")
    counts = Counter(outcome.status for outcome in result.outcomes)
    print(f"{page}: {counts['passed']} rules passed, {counts['skipped']} not asked")
    drift.main(params)


if __name__ == "__main__":
    run(main)
