"""Find faces, judge, cut and split them by person: `python -m sparnet.stages.prepare`."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.data.parallel import Workers
from sparnet.data.preparation import memory, prepare, sheet
from sparnet.stages.common import project, run

PAGE = Path("reports/preparation/index.html")


def main(params: Params) -> None:
    raw, folder = Path("data/raw"), Path("data/prepared")
    summary = prepare(
        raw,
        folder,
        params.prepare,
        params.seed,
        Workers.of(params.compute),
        # An experiment in a temporary copy of the project shares what was seen.
        project() / memory.STATE,
    )
    sheet.write(PAGE, raw, folder, params.prepare.framing_of_size())
    splits = ", ".join(f"{name} {split['pictures']}" for name, split in summary["splits"].items())
    print(f"{folder}: {summary['kept']} kept ({splits}), {summary['quarantined']} quarantined")
    print(f"{PAGE} shows them")


if __name__ == "__main__":
    run(main)
