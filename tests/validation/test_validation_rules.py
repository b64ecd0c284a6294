"""Every expectation holds for faultless data, and breaks for data with a fault of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sparnet.config import Band
from sparnet.data.validation import KEYS, check, expectations, facts, parameters, tables


def set_cell(frame: pd.DataFrame, column: str, value: Any, row: int = -1) -> None:
    frame.iloc[row, frame.columns.get_loc(column)] = value


def faces_cell(column: str, value: Any) -> Callable[[Any], Any]:
    return lambda data: set_cell(data.faces, column, value)


def pairs_cell(column: str, value: Any, row: int = -1) -> Callable[[Any], Any]:
    return lambda data: set_cell(data.pairs, column, value, row)


def across_splits(column: str) -> Callable[[Any], Any]:
    return lambda data: set_cell(data.faces, column, data.faces[column].iloc[0])


def repeated(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.tail(1)], ignore_index=True)


def band(data: Any, model: str, low: float, high: float) -> Any:
    bands = data.limits.bicubic_psnr_mean | {model: Band(low=low, high=high)}
    return data.copy(limits=data.limits.model_copy(update={"bicubic_psnr_mean": bands}))


FAULTS: dict[str, Callable[[Any], Any]] = {
    "schema.columns": lambda data: data.copy(pairs=data.pairs.drop(columns="sigma_x")),
    "collection.every_picture": lambda data: data.summary.update(pictures=83),
    "collection.counts_add_up": lambda data: data.summary.update(candidates=85),
    "collection.kept_in_manifest": lambda data: data.copy(faces=data.faces.iloc[2:]),
    "collection.quarantined_share": lambda data: data.summary.update(
        raw=100, pictures=100, candidates=100, quarantined=20
    ),
    "collection.grey_share": lambda data: data.copy(faces=data.faces.assign(grey=True)),
    "faces.unique": lambda data: data.copy(faces=repeated(data.faces)),
    "faces.no_gaps": faces_cell("sharpness", float("nan")),
    "faces.split_names": lambda data: data.copy(faces=data.faces[data.faces["split"] != "val"]),
    "faces.split_pictures": lambda data: data.copy(
        limits=data.limits.model_copy(update={"min_pictures": 11})
    ),
    "faces.size_in_params": faces_cell("size", 96),
    "faces.every_size": lambda data: data.copy(faces=data.faces.iloc[:-1]),
    "faces.person_in_one_split": across_splits("person"),
    "faces.file_in_one_split": across_splits("sha256"),
    "faces.pixels_in_one_split": across_splits("pixels_sha256"),
    "faces.sha256_form": faces_cell("sha256", "d41d8cd98f00b204e9800998ecf8427e"),
    "faces.pixels_sha256_form": faces_cell("pixels_sha256", ""),
    "faces.not_one_colour": faces_cell("std", 0.0),
    "faces.mean_of_8_bits": faces_cell("mean", 256.0),
    "faces.exposed": faces_cell("mean", 2.0),
    "faces.not_enlarged": faces_cell("source_height", 70),
    "faces.paired": lambda data: data.copy(pairs=data.pairs.iloc[:-1]),
    "pairs.unique": lambda data: data.copy(pairs=repeated(data.pairs)),
    "pairs.no_gaps": pairs_cell("bicubic_psnr", float("nan")),
    "pairs.models": lambda data: data.copy(pairs=data.pairs[data.pairs["model"] == "sparnet"]),
    "pairs.face_exists": pairs_cell("hr_member", "lost.png"),
    "pairs.same_split": pairs_cell("split", "train"),
    "pairs.size_in_params": pairs_cell("size", 64),
    "pairs.preset_in_params": pairs_cell("preset", "gfpgan"),
    "pairs.variant_in_params": pairs_cell("variant", 4),
    "pairs.variant_not_negative": pairs_cell("variant", -1),
    "pairs.every_variant": lambda data: data.copy(
        pairs=data.pairs[(data.pairs["id"] != "train000") | (data.pairs["variant"] != 2)]
    ),
    "pairs.stored": pairs_cell("lr_member", None),
    "pairs.record_agrees": pairs_cell("noise_sd", 5.0),
    "pairs.draws_in_range": pairs_cell("sigma_x", 15.2),
    "pairs.lr_width": pairs_cell("lr_width", 999),
    "pairs.lr_height": pairs_cell("lr_height", 999),
    "pairs.lr_not_one_colour": pairs_cell("lr_std", 0.1),
    "pairs.psnr_plausible": pairs_cell("bicubic_psnr", 1.0),
    "pairs.psnr_mean_sparnet": lambda data: band(data, "sparnet", 25, 32),
    "pairs.psnr_mean_sparnethd": lambda data: band(data, "sparnethd", 16, 23),
    "draws.distribution": lambda data: data.copy(
        pairs=data.pairs.assign(ratio=1 + data.pairs["ratio"] / 2)
    ),
}

TABLES = [table for table in KEYS if table != "photographs"]  # has tests of its own

RULES = [
    f"{table}.{expectation['meta']['rule']}"
    for table in TABLES
    for expectation in expectations.suite(table)["expectations"]
]


def outcomes(data: Any, table: str) -> dict[str, Any]:
    if table == "schema":
        frame = facts.columns(data.faces, data.pairs)
    else:
        frame = tables(data.faces, data.pairs, data.summary, data.settings)[table]
    found = check(table, frame, parameters(data.limits, data.settings))
    return {outcome.name: outcome for outcome in found}


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    assert sorted(FAULTS) == sorted(RULES)


@pytest.mark.parametrize("table", TABLES)
def test_faultless_data_pass_every_rule(good: Any, table: str) -> None:
    found = outcomes(good, table)
    assert {name: outcome.status for name, outcome in found.items()} == dict.fromkeys(
        found, "passed"
    )


@pytest.mark.parametrize("name", RULES)
def test_a_rule_fails_for_its_fault(good: Any, name: str) -> None:
    data = good.copy()
    data = FAULTS[name](data) or data
    outcome = outcomes(data, name.split(".")[0])[name]
    assert outcome.status == "failed"
    assert not outcome.reason
