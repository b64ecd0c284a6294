"""Read safely, crop, resize, split by person: `python -m sparnet.stages.prepare`."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.data.preparation import prepare
from sparnet.stages.common import run


def main(params: Params) -> None:
    folder = Path("data/prepared")
    summary = prepare(Path("data/raw"), folder, params.prepare, params.seed, params.compute.workers)
    splits = ", ".join(f"{name} {split['pictures']}" for name, split in summary["splits"].items())
    print(f"{folder}: {summary['kept']} kept ({splits}), {summary['quarantined']} quarantined")


if __name__ == "__main__":
    run(main)
