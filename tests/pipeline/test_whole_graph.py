from __future__ import annotations

import json
import shutil

import psutil
import pytest
import torch
import yaml
from documented import EXPERIMENTS, TRAINED
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from sparnet.data.validation import profile, reference
from sparnet.images import encode_png
from sparnet.models import checkpoint
from sparnet.tracking import Registry

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


@pytest.fixture(scope="module")
def pictures(ran, astronaut):
    """`photo.png`, a photograph with a face, and `face.png`, that face."""
    folder = ran[0].folder
    (folder / "photo.png").write_bytes(encode_png(astronaut))
    (folder / "face.png").write_bytes(encode_png(astronaut[50:178, 160:288]))


@pytest.fixture(scope="module")
def swept(ran):
    """The project after the commands of docs/experiments.md, what each of them told, and the
    champion's version once the queue was done."""
    project, _ = ran
    told = {}
    try:
        for line in EXPERIMENTS:
            told[line] = project.shell(line)
            if line.startswith("dvc queue start"):
                wait_for_queue(project)
                told["champion"] = champion_of(project).version
        return project, told
    finally:
        project.run("dvc", "queue", "stop", "--kill")


def wait_for_queue(project) -> None:
    """Return once the queue is worked off: a worker may end between two experiments."""
    for _ in range(4):
        named = (each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])
        workers = [each for each in named if "queue-worker" in each.info["cmdline"]]
        own = [worker for worker in workers if worker.cwd() == str(project.folder)]
        assert not psutil.wait_procs(own, timeout=300)[1]
        if "Queued" not in project.shell("dvc queue status"):
            return
        project.shell("dvc queue start --jobs 1")
    raise AssertionError("the experiments never ended")


def champion_of(project) -> ModelVersion:
    client = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")
    return client.get_model_version_by_alias("sparnet", "champion")


def mlflow_runs(project, **tags: str) -> list[Run]:
    client = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sparnet")
    assert experiment is not None
    wanted = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    return client.search_runs([experiment.experiment_id], wanted)


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


def test_the_champions_keep_the_profile_of_their_data(ran):
    project, _ = ran
    registry = Registry(f"sqlite:///{project.folder / 'mlflow.db'}")
    [known] = reference.of_champions(registry, ("sparnet", "sparnethd"))
    assert known.name == "sparnet 1, sparnethd 1"
    assert known.profile == profile.read(project.folder / "reports/validation/profile.json")


def test_a_change_of_one_stages_parameters_reruns_only_what_depends_on_it(ran):
    project, _ = ran
    project.change({"package": {"queue_size": 16}})
    status = json.loads(project.run("dvc", "status", "--json").stdout)
    assert list(status) == ["package"]
    project.change({"package": {"queue_size": 32}})
    assert json.loads(project.run("dvc", "status", "--json").stdout) == {}


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("line", "told"), TRAINED.items(), ids=TRAINED)
def test_a_documented_command_works_after_a_run(ran, line, told):
    assert told in ran[0].shell(line)


def test_dvc_shows_the_plots(ran):
    project, _ = ran
    project.run("dvc", "plots", "show", "-o", "shown")
    page = (project.folder / "shown/index.html").read_text()
    assert "val/psnr" in page
    assert list((project.folder / "shown/static").glob("*.png"))


def test_exported_weights_come_back_the_same(ran):
    project, _ = ran
    ours, released = "models/sparnet/best.safetensors", "released.pth"
    info = json.loads(project.run("sparnet", "weights", "info", ours).stdout)
    project.run("sparnet", "weights", "export", ours, released)
    network = json.dumps(info["config"])
    project.run("sparnet", "weights", "import", released, "back.safetensors", "--network", network)
    before, after = (checkpoint.load(project.folder / name) for name in (ours, "back.safetensors"))
    for key, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[key], value), key


def test_the_commands_of_experiments_tell_how_they_went(swept):
    _, told = swept
    for line, expected in EXPERIMENTS.items():
        assert expected in told[line], line


def test_each_experiment_has_an_mlflow_run_with_its_name_and_settings(swept):
    project, _ = swept
    for name, rate in (("rate-1", 5e-4), ("rate-2", 4e-3)):
        [run] = mlflow_runs(project, dvc_experiment=name, stage="train_sparnet")
        assert float(run.data.params["train.optimizer.lr"]) == rate
        assert run.info.status == "FINISHED"
        folder = project.folder / "mlartifacts" / run.info.run_id
        assert list(folder.glob("artifacts/images/*"))


def test_no_experiment_becomes_the_champion_by_itself(swept):
    _, told = swept
    assert told["champion"] == 1


def test_an_experiment_that_is_applied_is_the_workspace(swept):
    project, _ = swept
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    assert params["train_sparnet"]["optimizer"]["lr"] == 4e-3
    assert json.loads(project.run("dvc", "status", "--json").stdout) == {}


def test_everything_deleted_and_run_again_is_the_same_bytes(ran):
    project, _ = ran
    before = project.outs()
    for name in ("data", "models", "reports", "build", ".state", ".dvc/cache"):
        shutil.rmtree(project.folder / name, ignore_errors=True)
    (project.folder / "dvc.lock").unlink()
    project.change({"compute": {"workers": 0}})
    project.run("dvc", "repro")
    assert project.outs() == before
