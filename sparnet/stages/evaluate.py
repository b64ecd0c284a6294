"""Measure, report, register: `python -m sparnet.stages.evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

import pandas as pd

from sparnet import files
from sparnet.config import Params
from sparnet.data import manifest
from sparnet.data.pairing import ModelName
from sparnet.data.pairs import fixed_pairs
from sparnet.data.parallel import Workers
from sparnet.data.validation import drift_report
from sparnet.evaluation import recording, report
from sparnet.evaluation.contest import Contest, hold
from sparnet.evaluation.evaluator import table
from sparnet.evaluation.examples import example_sheet
from sparnet.images import encode_png
from sparnet.models import checkpoint
from sparnet.models.generator import Generator
from sparnet.stages import drift
from sparnet.stages.common import run, tracking_of

PREPARED, PAIRS, REPORTS = Path("data/prepared"), Path("data/pairs"), Path("reports")
MODELS: tuple[ModelName, ...] = get_args(ModelName)


def main(params: Params) -> None:
    """Write metrics.json, per_image.csv, plots and index.html, then tell MLflow."""
    contests = {model: _contest(model, params) for model in MODELS}
    metrics = {
        name: summary
        for contest in contests.values()
        for name, summary in contest.summaries().items()
    }
    rows = [row for contest in contests.values() for row in (*contest.before, *contest.after)]
    _write_pictures(contests)
    files.write_text(
        REPORTS / "per_image.csv",
        table(rows).to_csv(index=False, float_format="%.6f", lineterminator="\n"),
    )
    files.write_text(REPORTS / "index.html", _page(contests, metrics, table(rows), params))
    files.write_json(REPORTS / "metrics.json", metrics)
    recording.record(
        list(contests.values()),
        {model: _weights(model) for model in MODELS},
        data_digest=files.sha256(PAIRS / manifest.NAME),
        evaluation=params.evaluate,
        device=params.compute.device,
        store=tracking_of(params),
        promotes="DVC_EXP_NAME" not in os.environ,
        data_profile=drift.PROFILE,
        prepared=manifest.read(PREPARED / manifest.NAME),
    )
    print(report.markdown_table(metrics))


def _contest(model: ModelName, params: Params) -> Contest:
    settings = params.evaluate
    return hold(
        model,
        cast(Generator, checkpoint.load(_weights(model))),
        fixed_pairs(PAIRS, PREPARED, model, "test"),
        params.compute.device,
        settings.batch_size,
        settings.protocol,
        settings.faces,
        settings.strips,
        Workers.of(params.compute),
    )


def _weights(model: ModelName) -> Path:
    return Path("models") / model / "best.safetensors"


def _write_pictures(contests: Mapping[ModelName, Contest]) -> None:
    with files.replacing_folder(REPORTS / "plots") as folder:
        for model, contest in contests.items():
            (folder / f"{model}.png").write_bytes(encode_png(example_sheet(contest.examples)))
            if contest.attention is not None:
                (folder / f"{model}_attention.png").write_bytes(encode_png(contest.attention))


def _page(
    contests: Mapping[ModelName, Contest],
    metrics: Mapping[str, Mapping[str, float]],
    per_image: pd.DataFrame,
    params: Params,
) -> str:
    sections = [
        report.Section(
            name=model,
            baseline=contest.baseline,
            examples=contest.examples,
            attention=contest.attention,
            curve=pd.read_csv(REPORTS / "training" / f"{model}.csv"),
        )
        for model, contest in contests.items()
    ]
    return report.render(metrics, per_image, sections, _facts(), params.evaluate.protocol)


def _facts() -> dict[str, str]:
    faces = manifest.read(PREPARED / manifest.NAME)
    smallest = faces[faces["size"] == faces["size"].min()]
    facts = {"pictures from": ", ".join(sorted(smallest["source"].unique()))}
    for split, rows in smallest.groupby("split"):
        facts[str(split)] = f"{len(rows)} pictures of {rows['person'].nunique()} people"
    facts["drift from the champion’s data"] = str(drift.REPORTS / drift_report.PAGE)
    facts["pairs, sha256"] = files.sha256(PAIRS / manifest.NAME)
    facts |= {f"{model} weights, sha256": files.sha256(_weights(model)) for model in MODELS}
    return facts


if __name__ == "__main__":
    run(main)
