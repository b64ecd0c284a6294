from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from seen_faces import rows, seen, without_search
from valid_project import params, write

from sparnet import config, tracking
from sparnet.config import Drift
from sparnet.data import manifest
from sparnet.data.validation import profile, reference
from sparnet.errors import UserError
from sparnet.files import write_json
from sparnet.stages import drift, validate
from sparnet.tracking import Registry

DARKER = seen(seed=1).assign(brightness=lambda faces: faces["brightness"] * 0.6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real registry whose champions of both models were trained on faces like `seen()`."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    write_json(folder / reference.NAME, profile.of(seen()).model_dump())
    for model in ("sparnet", "sparnethd"):
        champion(uri, model, folder / reference.NAME)
    return uri


def champion(uri: str, model: str, kept: Path | None) -> None:
    """Make a version without a network the champion; its data's profile is the file `kept`."""
    with tracking.run(uri, "drift", model, {}) as run:
        pass
    client = MlflowClient(uri, uri)
    client.create_registered_model(model)
    client.create_model_version(model, "nowhere", run.run_id)
    registry = Registry(uri)
    registry.promote(model, 1)
    if kept:
        version = registry.champion(model)
        assert version is not None
        reference.keep(registry, version, kept)


@pytest.fixture
def project(tmp_path: Path, good: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with faultless data, which is the current one."""
    write(tmp_path, good)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def settings(good: Any, uri: str, limits: Drift | None = None) -> config.Params:
    limits = limits or Drift()
    judged = good.copy(limits=good.limits.model_copy(update={"drift": limits}))
    return params(judged).model_copy(update={"tracking": config.Tracking(uri=uri)})


def prepared(faces: pd.DataFrame) -> None:
    path = Path("data/prepared") / manifest.FACES_NAME
    manifest.write(path, rows(faces), manifest.FACES)


def table() -> dict[str, Any]:
    return json.loads(Path("reports/drift/drift.json").read_text())


@pytest.mark.usefixtures("project")
def test_data_like_the_champions_pass(
    good: Any, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(seen(seed=1))
    validate.main(settings(good, store))
    told = capsys.readouterr()
    assert (
        "7 of 7 quantities are within their limits of champion sparnet 1, sparnethd 1" in told.out
    )
    assert "warning" not in told.err
    [comparison] = table()["comparisons"]
    assert comparison["champions"] == {"sparnet": 1, "sparnethd": 1}
    assert {row["status"] for row in comparison["rows"]} == {"passed"}
    assert "No quantity drifted" in Path("reports/drift/index.html").read_text()


@pytest.mark.usefixtures("project")
def test_drift_is_told_and_lets_the_pipeline_go_on(
    good: Any, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(DARKER)
    validate.main(settings(good, store))
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(told) == 1
    assert told[0].startswith("warning: drift from champion sparnet 1, sparnethd 1: brightness")
    [comparison] = table()["comparisons"]
    status = {row["quantity"]: row["status"] for row in comparison["rows"]}
    assert [name for name, value in status.items() if value == "failed"] == ["brightness"]
    page = Path("reports/drift/index.html").read_text()
    assert "1 of 7 quantities drifted beyond the limit" in page
    assert page.count("<svg") == 5
    assert "http" not in page
    assert "src=" not in page


@pytest.mark.usefixtures("project")
def test_critical_drift_stops_with_one_line_once_the_page_is_written(good: Any, store: str) -> None:
    prepared(DARKER)
    with pytest.raises(UserError, match=r"the data drifted: drift\.brightness") as failure:
        validate.main(settings(good, store, Drift(severity="critical")))
    assert "\n" not in str(failure.value)
    assert "brightness <= 0.2" in str(failure.value)
    assert "the severity in validate.drift" in str(failure.value)
    assert table()["comparisons"][0]["severity"] == "critical"
    assert json.loads(Path("reports/validation/validation.json").read_text())["success"]


@pytest.mark.usefixtures("project")
def test_a_limit_of_null_judges_nothing(good: Any, store: str) -> None:
    prepared(DARKER)
    validate.main(settings(good, store, Drift(brightness=None, severity="critical")))
    rows_of = {row["quantity"]: row for row in table()["comparisons"][0]["rows"]}
    assert rows_of["brightness"]["status"] == "skipped"
    assert rows_of["brightness"]["distance"] > 0.5


@pytest.mark.usefixtures("project")
def test_faces_that_were_not_sought_have_no_embeddings_to_judge(good: Any, store: str) -> None:
    prepared(without_search(seen(seed=1)))
    validate.main(settings(good, store))
    rows_of = {row["quantity"]: row for row in table()["comparisons"][0]["rows"]}
    assert rows_of["embedding"]["reason"] == "not measured of the new data"
    assert rows_of["brightness"]["status"] == "passed"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_without_a_registry_there_is_one_plain_line(
    good: Any, severity: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(seen())
    validate.main(settings(good, "sqlite:///mlflow.db", Drift(severity=severity)))
    assert "no champion with a data profile: drift not measured\n" in capsys.readouterr().out
    assert table()["comparisons"] == []
    assert not Path("mlflow.db").exists()


@pytest.mark.usefixtures("project")
def test_champions_without_a_profile_are_one_plain_line(
    good: Any, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(store.removeprefix("sqlite:///"), tmp_path / "copy.db")
    uri = f"sqlite:///{tmp_path / 'copy.db'}"
    for model in ("sparnet", "sparnethd"):
        MlflowClient(uri, uri).delete_registered_model(model)
        champion(uri, model, None)
    prepared(seen())
    validate.main(settings(good, uri))
    assert "no champion with a data profile: drift not measured\n" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_a_silent_registry_is_a_warning_unless_drift_is_critical(
    good: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = "http://127.0.0.1:9"
    prepared(seen())
    validate.main(settings(good, nobody))
    assert "warning: drift not measured: MLflow at http://127.0.0.1:9" in capsys.readouterr().err
    assert "did not answer" in table()["note"]
    with pytest.raises(UserError, match=r"cannot be measured, and is critical: MLflow at") as error:
        validate.main(settings(good, nobody, Drift(severity="critical")))
    assert "\n" not in str(error.value)


def test_the_profile_is_the_same_bytes_and_drift_is_measured_again_by_itself(
    project: Path, good: Any, store: str
) -> None:
    prepared(seen(seed=1))
    outs = [project / "reports" / name for name in ("validation/profile.json", "drift/drift.json")]
    validate.main(settings(good, store))
    first = [out.read_bytes() for out in outs]
    validate.main(settings(good, store))
    assert [out.read_bytes() for out in outs] == first
    drift.main(settings(good, store))
    assert [out.read_bytes() for out in outs] == first


@pytest.mark.usefixtures("project")
def test_data_that_fail_leave_no_drift_of_earlier_data_behind(good: Any, store: str) -> None:
    prepared(seen())
    validate.main(settings(good, store))
    faulty = good.copy()
    faulty.faces.loc[3, "std"] = 0.0
    write(Path(), faulty)
    with pytest.raises(UserError, match="validation failed"):
        validate.main(settings(good, store))
    assert not Path("reports/drift").exists()


@pytest.mark.usefixtures("project")
def test_measuring_before_there_is_a_profile_is_one_line(good: Any, store: str) -> None:
    with pytest.raises(UserError, match=r"profile\.json: No such file .*dvc repro validate"):
        drift.main(settings(good, store))
