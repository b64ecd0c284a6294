from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest

from sparnet import tracking
from sparnet.errors import UserError
from sparnet.tracking import MlflowRun

PICTURE = np.full((8, 8, 3), 128, np.uint8)


class Stopped(Exception):
    pass


def steps(run: MlflowRun, key: str) -> list[int]:
    return [metric.step for metric in run.client.get_metric_history(run.run_id, key)]


def pictures(run: MlflowRun) -> list[str]:
    paths = [item.path for item in run.client.list_artifacts(run.run_id, "images")]
    return sorted(path.split("+timestamp")[0] for path in paths if path.endswith(".png"))


def test_a_run_holds_what_was_logged_and_ends_as_finished(uri: str, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("step\n1\n")
    with tracking.run(uri, "runs", "sparnet", {"stage": "train"}) as run:
        run.log_params({"train": {"optimizer": {"lr": 1e-3}, "epochs": None}, "seed": 0})
        run.log_metrics({"train/pixel": 0.5}, 1)
        run.log_image("val/face_00", PICTURE, 1)
        run.log_dataset("pairs", "a" * 64, "data/pairs", "training")
        run.log_artifact(report)
    stored = run.client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"train.optimizer.lr": "0.001", "seed": "0"}
    assert stored.data.metrics == {"train/pixel": 0.5}
    assert stored.data.tags["stage"] == stored.data.tags["mlflow.source.name"] == "train"
    assert stored.inputs.dataset_inputs[0].dataset.digest == "a" * 36
    assert pictures(run) == ["images/val~face_00+step+1"]
    assert "report.csv" in [item.path for item in run.client.list_artifacts(run.run_id)]


def test_a_resumed_run_holds_nothing_twice(uri: str) -> None:
    def train(run: MlflowRun, first: int, last: int) -> None:
        for step in range(first, last + 1):
            run.log_metrics({"train/pixel": 1 / step}, step)
            run.log_image("val/face_00", PICTURE, step)

    with pytest.raises(Stopped), tracking.run(uri, "runs", "sparnet", {}) as run:
        train(run, 1, 3)
        raise Stopped
    assert run.client.get_run(run.run_id).info.status == "FAILED"
    with tracking.run(uri, "runs", "sparnet", {}, resume=run.run_id) as resumed:
        assert run.client.get_run(run.run_id).info.status == "RUNNING"
        train(resumed, 2, 4)
    assert resumed.run_id == run.run_id
    assert steps(run, "train/pixel") == [1, 2, 3, 4]
    assert pictures(run) == [f"images/val~face_00+step+{step}" for step in (1, 2, 3, 4)]


def test_results_that_come_later_do_not_lengthen_a_finished_run(uri: str) -> None:
    with tracking.run(uri, "runs", "sparnet", {}) as run:
        pass
    ended = run.client.get_run(run.run_id).info.end_time
    with tracking.run(uri, "runs", "sparnet", {}, resume=run.run_id) as later:
        later.log_results({"test/psnr": 27.0})
    stored = run.client.get_run(run.run_id)
    assert (stored.info.status, stored.info.end_time) == ("FINISHED", ended)
    assert stored.data.metrics == {"test/psnr": 27.0}


def test_the_experiment_says_what_its_metrics_mean(uri: str) -> None:
    with tracking.run(uri, "told", "sparnet", {}) as run:
        pass
    experiment = run.client.get_experiment_by_name("told")
    assert experiment is not None
    assert "`test/landmark_error`" in experiment.tags["mlflow.note.content"]
    assert f"/experiments/{experiment.experiment_id}/runs" in tracking.runs_page(uri, "told")


def test_a_run_that_was_deleted_is_replaced_by_a_new_one(uri: str) -> None:
    with tracking.run(uri, "runs", "sparnet", {}, resume="0" * 32) as run:
        assert run.run_id != "0" * 32


def test_a_stopped_run_is_told_from_a_failed_one(uri: str) -> None:
    with (
        pytest.raises(Stopped),
        tracking.run(uri, "runs", "sparnet", {}, stopped=Stopped) as run,
    ):
        raise Stopped
    assert run.client.get_run(run.run_id).info.status == "KILLED"


def test_a_flushed_metric_is_in_the_store(uri: str) -> None:
    with tracking.run(uri, "runs", "sparnet", {}) as run:
        run.log_metrics({"train/pixel": 0.5, "train/total": 1.0}, 7)
        run.flush()
        assert steps(run, "train/pixel") == [7]


def test_a_run_is_found_by_its_best_or_last_weights(uri: str) -> None:
    tags = {tracking.WEIGHTS_TAG: "b" * 64, tracking.LAST_WEIGHTS_TAG: "c" * 64}
    with tracking.run(uri, "found", "sparnet", tags) as run:
        pass
    assert tracking.find_run_by_weights(uri, "found", "b" * 64) == run.run_id
    assert tracking.find_run_by_weights(uri, "found", "c" * 64) == run.run_id
    assert tracking.find_run_by_weights(uri, "found", "d" * 64) is None


def test_artifacts_lie_beside_the_database(uri: str) -> None:
    with tracking.run(uri, "beside", "sparnet", {}) as run:
        location = mlflow.MlflowClient(uri).get_run(run.run_id).info.artifact_uri
    root = Path(uri.removeprefix("sqlite:///")).parent
    assert location is not None
    assert location.startswith((root / "mlartifacts").as_uri())


def test_a_store_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/missing/folder/mlflow.db"
    (tmp_path / "missing").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="MLflow at sqlite"), tracking.run(uri, "x", "x", {}):
        pass


def test_a_store_that_goes_away_costs_metrics_but_not_the_training(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mlflow.db"
    tracking.find_run(uri, "away", "any", "tag")
    shutil.copy(uri.removeprefix("sqlite:///"), path)
    with tracking.run(f"sqlite:///{path}", "away", "sparnet", {}) as run:
        path.write_bytes(b"")
        run.log_metrics({"train/pixel": 0.5}, 1)
        run.log_image("val/face_00", PICTURE, 1)
        run.flush()
    warnings = capsys.readouterr().err.splitlines()
    assert "warning: MLflow did not take metrics" in "\n".join(warnings)


def test_the_commit_is_named_and_its_absence_too(tmp_path: Path) -> None:
    assert tracking.git_commit(tmp_path) == "unknown"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    subprocess.run(["git", "-C", str(tmp_path), "add", "file"], check=True)
    commit = ["git", "-C", str(tmp_path), *who, "commit", "-q", "-m", "x"]
    subprocess.run(commit, check=True)
    assert len(tracking.git_commit(tmp_path)) == 40
    (tmp_path / "file").write_text("2")
    assert tracking.git_commit(tmp_path).endswith("-dirty")


def test_mlflow_is_not_loaded_until_it_is_needed() -> None:
    code = "import sys, sparnet.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
