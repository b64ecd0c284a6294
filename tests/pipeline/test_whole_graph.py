from __future__ import annotations

import json
import shutil

import pytest
from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.pipeline

STAGES = [
    "download",
    "prepare",
    "degrade",
    "validate",
    "train_sparnet",
    "train_sparnethd",
    "evaluate",
    "package",
]


@pytest.fixture(scope="module")
def ran(project):
    """The project after one run of the flow, with what it printed."""
    done = project.run("python", "-m", "flows.pipeline")
    return project, done.stdout + done.stderr


def test_the_flow_runs_every_stage_of_the_graph(ran):
    project, printed = ran
    assert sorted(project.lock()["stages"]) == sorted(STAGES)
    for stage in STAGES:
        assert stage in printed


def test_the_metrics_hold_every_contender(ran):
    project, _ = ran
    metrics = json.loads((project.folder / "reports/metrics.json").read_text())
    assert {"bicubic", "sparnet", "degraded", "sparnethd"} == set(metrics)
    for values in metrics.values():
        assert values["test/psnr"] > 5
        assert -1 <= values["test/ssim"] <= 1


def test_the_report_loads_nothing_from_outside(ran):
    project, _ = ran
    page = (project.folder / "reports/index.html").read_text()
    assert page.count("data:image/png;base64,") >= 8
    assert 'src="http' not in page
    assert "<link" not in page


def test_a_second_run_does_nothing(ran):
    project, _ = ran
    before = project.lock()
    done = project.run("dvc", "repro")
    assert "Data and pipelines are up to date." in done.stdout + done.stderr
    assert project.lock() == before


def test_the_runs_models_and_baseline_are_in_mlflow(ran):
    project, _ = ran
    client = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sparnet")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    stages = {run.data.tags.get("stage") for run in runs}
    assert {"train_sparnet", "train_sparnethd", "baseline"} <= stages
    for name in ("sparnet", "sparnethd"):
        champion = client.get_model_version_by_alias(name, "champion")
        challenger = client.get_model_version_by_alias(name, "challenger")
        assert champion.version == challenger.version == 1


def test_a_change_of_one_stages_parameters_reruns_only_what_depends_on_it(ran):
    project, _ = ran
    project.change({"package": {"queue_size": 16}})
    status = json.loads(project.run("dvc", "status", "--json").stdout)
    assert list(status) == ["package"]
    project.change({"package": {"queue_size": 32}})
    assert json.loads(project.run("dvc", "status", "--json").stdout) == {}


def test_dvc_shows_the_plots(ran):
    project, _ = ran
    project.run("dvc", "plots", "show", "-o", "shown")
    page = (project.folder / "shown/index.html").read_text()
    assert "val/psnr" in page
    assert list((project.folder / "shown/static").glob("*.png"))


def test_everything_deleted_and_run_again_is_the_same_bytes(ran):
    project, _ = ran
    before = project.outs()
    for name in ("data", "models", "reports", "build", ".state", ".dvc/cache"):
        shutil.rmtree(project.folder / name, ignore_errors=True)
    (project.folder / "dvc.lock").unlink()
    project.change({"compute": {"workers": 0}})
    project.run("dvc", "repro")
    assert project.outs() == before
