from __future__ import annotations

import json
import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from sparnet.models import checkpoint
from sparnet.tracking import WEIGHTS_TAG, find_run_by_weights

Change = dict[str, Any]


def stage(model: str) -> int:
    """Run the training stage in this process; returns its exit code."""
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"sparnet.stages.train_{model}", run_name="__main__")
    assert isinstance(end.value.code, int)
    return end.value.code


def stopped_stage(model: str, marker: str, number: signal.Signals) -> tuple[int, str]:
    """Run the stage in a process, signal it at the line with `marker`; its exit code and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"sparnet.stages.train_{model}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if marker in line:
            process.send_signal(number)
            break
    lines += process.stderr
    return process.wait(), "".join(lines)


def change(project: Path, model: str, **settings: Any) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[f"train_{model}"] |= settings
    path.write_text(yaml.safe_dump(params))


def outs(project: Path, model: str) -> dict[str, bytes]:
    paths = [
        *sorted((project / "models" / model).iterdir()),
        project / f"reports/training/{model}.csv",
    ]
    return {path.name: path.read_bytes() for path in paths}


def forget(project: Path, model: str) -> None:
    """What `dvc repro` does to outs before a stage runs."""
    for path in (project / "models" / model).iterdir():
        path.unlink()
    (project / f"reports/training/{model}.csv").unlink()


RATES = {"train/images_per_second"}


def histories(model: str) -> list[dict[str, list[tuple[int, float]]]]:
    """For each run of the model, the newest first: every metric's steps and values."""
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("sparnet")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.stage = 'train_{model}'")
    return [
        {
            key: sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics.keys() - RATES
        }
        for run in runs
    ]


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_kill_and_restart_give_the_same_outs_in_one_run(model: str, project: Path) -> None:
    assert stage(model) == 0
    expected = outs(project, model)
    forget(project, model)

    code, _ = stopped_stage(model, f"train_{model}: 5/6", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert (project / f".state/train_{model}/state-000000004.safetensors").exists()
    assert stage(model) == 0

    assert outs(project, model) == expected
    assert not (project / f".state/train_{model}").exists()
    resumed, undisturbed = histories(model)
    assert resumed == undisturbed
    assert [step for step, _ in resumed["train/pixel"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in resumed["val/psnr"]] == [3, 6]


def in_child(model: str, project: Path, errors: Path) -> None:
    """The stage in a process of its own, its stderr in a file."""
    os.chdir(project)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{project}/mlflow.db"
    with errors.open("w", buffering=1) as sys.stderr:
        runpy.run_module(f"sparnet.stages.train_{model}", run_name="__main__")


def killed_stage(model: str, project: Path, seconds: float) -> int | None:
    """Start the stage, kill it so long after its first line; its exit code."""
    errors = project / "stderr.txt"
    errors.write_bytes(b"")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "sparnet.stages.train_sparnethd"])
    process = context.Process(target=in_child, args=(model, project, errors))
    process.start()
    while process.is_alive() and not errors.stat().st_size:
        process.join(0.01)
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_ten_kills_at_random_moments_leave_no_trace(model: str, project: Path) -> None:
    change(project, model, steps=60, checkpoint_every=1, log_every=5, validate_every=20)
    assert stage(model) == 0
    expected = outs(project, model)
    forget(project, model)

    moments = random.Random(model)
    killed = [killed_stage(model, project, moments.uniform(0, 1)) for _ in range(10)]
    assert killed.count(-signal.SIGKILL) >= 5
    if killed[-1] != 0:
        assert stage(model) == 0

    assert outs(project, model) == expected
    resumed, undisturbed = histories(model)[0], histories(model)[-1]
    assert resumed == undisturbed


@pytest.mark.usefixtures("project")
def test_sigterm_saves_says_how_to_go_on_and_exits_143(capfd: pytest.CaptureFixture[str]) -> None:
    code, errors = stopped_stage("sparnet", "train_sparnet: 1/6", signal.SIGTERM)
    assert code == 143
    assert "the state is saved, `dvc repro` goes on from there" in errors
    assert "Traceback" not in errors
    assert stage("sparnet") == 0
    assert "goes on after step" in capfd.readouterr().err
    assert len(histories("sparnet")) == 1


def test_weights_know_their_step_and_their_run(project: Path) -> None:
    assert stage("sparnet") == 0
    best = checkpoint.info(project / "models/sparnet/best.safetensors")
    last = checkpoint.info(project / "models/sparnet/last.safetensors")
    assert best["metadata"]["step"] in (3, 6)
    assert last["metadata"]["step"] == 6
    uri = os.environ["MLFLOW_TRACKING_URI"]
    run_id = find_run_by_weights(uri, "sparnet", best["sha256"])
    assert run_id is not None
    run = mlflow.MlflowClient(uri).get_run(run_id)
    assert run.data.tags[WEIGHTS_TAG] == best["sha256"]
    assert run.data.tags["architecture"] == "sparnet"
    assert run.data.params["train.optimizer.lr"] == "0.001"
    assert run.inputs.dataset_inputs[0].dataset.name == "sparnet-pairs"
    assert run.info.status == "FINISHED"
    assert (project / "mlartifacts").is_dir()


def test_changed_parameters_train_anew_and_say_so(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = project / ".state/train_sparnet"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"identity": {"model": "other"}, "run_id": "x"}))
    assert stage("sparnet") == 0
    shown = capfd.readouterr().err
    assert "as model was other, is sparnet; its state is now in .state/train_sparnet.aside" in shown


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        pytest.param({"batch_size": 500}, "batch_size is 500, but the training split has"),
        pytest.param({"optimizer": {"lr": 1e30, "betas": [0.9, 0.99]}}, "lower optimizer.lr"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    settings: Change, line: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(project, "sparnet", **settings)
    assert stage("sparnet") == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert line in error
    assert not (project / "models").exists()


def test_a_missing_perceptual_network_is_asked_for_only_where_it_counts(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = project / "cache"
    cache.mkdir()
    (cache / "vgg19-dcbb9e9d.pth").write_bytes(b"not the file")
    monkeypatch.setenv("SPARNET_CACHE", str(cache))
    losses = {"pixel": 100.0, "perceptual": 1.0, "feature_matching": 10.0, "adversarial": 1.0}
    change(project, "sparnethd", losses=losses)
    assert stage("sparnethd") == 2
    assert "not the standard VGG19 weights" in capfd.readouterr().err
