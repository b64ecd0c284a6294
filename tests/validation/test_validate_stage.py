from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from valid_project import params, write

from sparnet.errors import UserError
from sparnet.stages import validate as stage


@pytest.fixture
def project(tmp_path: Path, good: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder that holds the faultless data; it is the current folder."""
    write(tmp_path, good)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_faultless_data_pass_and_are_reported(project: Path, good: Any) -> None:
    stage.main(params(good))
    report = json.loads((project / "reports/validation/validation.json").read_text())
    assert report["success"]
    assert {rule["status"] for rule in report["rules"]} <= {"passed", "skipped"}
    skipped = {rule["table"] for rule in report["rules"] if rule["status"] == "skipped"}
    assert skipped <= {"photographs"}  # not every fact of theirs is looked for
    assert {draw["parameter"] for draw in report["draws"]} >= {"sigma_x", "ratio", "jpeg_quality"}


def test_the_same_data_give_the_same_bytes(project: Path, good: Any) -> None:
    names = ("validation.json", "report.html", "profile.json")
    outs = [project / "reports/validation" / name for name in names]
    stage.main(params(good))
    first = [out.read_bytes() for out in outs]
    stage.main(params(good))
    assert [out.read_bytes() for out in outs] == first


def test_a_critical_failure_names_rule_and_file_and_leaves_the_report(
    project: Path, good: Any
) -> None:
    faulty = good.copy()
    faulty.faces.loc[3, "std"] = 0.0
    write(project, faulty)
    with pytest.raises(UserError) as failure:
        stage.main(params(good))
    message = str(failure.value)
    assert "faces.not_one_colour" in message
    assert "1 of 160: train001 128 train 128-train-00000.zip" in message
    assert "\n" not in message
    report = json.loads((project / "reports/validation/validation.json").read_text())
    assert report["failed_critical"] == ["faces.not_one_colour"]
    assert "train001" in (project / "reports/validation/report.html").read_text()


def test_a_warning_is_told_and_lets_the_pipeline_go_on(
    project: Path, good: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, good.copy(faces=good.faces.assign(source_height=100)))
    stage.main(params(good))
    assert "warning: faces.not_enlarged" in capsys.readouterr().err
    report = json.loads((project / "reports/validation/validation.json").read_text())
    assert report["failed_warnings"] == ["faces.not_enlarged"]


def test_a_missing_column_stops_before_the_rules_that_need_it(good: Any) -> None:
    result = good.copy(faces=good.faces.drop(columns="person")).validate()
    assert [outcome.name for outcome in result.failed_critical] == ["schema.columns"]
    assert "person" in result.message()
    assert {outcome.status for outcome in result.outcomes[1:]} == {"skipped"}


def test_too_few_draws_are_not_judged_and_the_report_says_so(good: Any) -> None:
    result = good.copy(pairs=good.pairs[good.pairs["split"] == "val"]).validate()
    verdict = next(one for one in result.outcomes if one.name == "draws.distribution")
    assert verdict.status == "skipped"
    assert "100 draws" in verdict.reason
    assert not any(one.judged for one in result.distributions)
    assert "too few draws to judge" in result.html()


def test_a_band_that_params_do_not_give_is_skipped(good: Any) -> None:
    limits = good.limits.model_copy(update={"bicubic_psnr_mean": {}})
    found = {outcome.name: outcome for outcome in good.copy(limits=limits).validate().outcomes}
    assert found["pairs.psnr_mean_sparnet"].status == "skipped"
    assert "psnr_low_sparnet" in found["pairs.psnr_mean_sparnet"].reason


@pytest.mark.parametrize("preset", ["bicubic_x8", "sparnet_paper"])
def test_data_of_other_presets_pass_too(data_of: Any, preset: str) -> None:
    assert data_of(preset).validate().message() == ""


def test_the_page_needs_nothing_from_elsewhere(good: Any) -> None:
    page = good.validate().html()
    assert "http" not in page
    assert "src=" not in page
    assert page.count("<svg") == 8
