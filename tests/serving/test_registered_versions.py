"""Archives of what MLflow keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving import archive
from serving.cli import app
from sparnet import files, tracking
from sparnet.errors import UserError
from sparnet.inference import pyfunc
from sparnet.tracking import Registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(packaged, tmp_path_factory) -> Path:
    """A folder whose MLflow keeps the weights of the packaged `sparnet` as the champion."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy2(ROOT / "params.yaml", folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    weights = packaged.weights["sparnet"]
    sha256 = files.sha256(weights)
    with tracking.run(uri, "sparnet", "test", {tracking.WEIGHTS_TAG: sha256}) as run:
        pass
    registry = Registry(uri)
    version = registry.register(run.run_id, "sparnet", weights, sha256, Path(pyfunc.__file__))
    registry.promote("sparnet", version.version)
    return folder


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return lambda *words: CliRunner().invoke(app, ["package", *words])


def test_the_champions_archive_can_be_made_and_deployed(run, project, packaged):
    done = run("sparnet")
    assert done.exit_code == 0, done.output
    assert "version 1 in MLflow" in done.output
    made = archive.read(project / "build/registered/sparnet.mar")
    sha256 = files.sha256(packaged.weights["sparnet"])
    assert (made.name, made.settings.handler.weights_sha256) == ("sparnet", sha256)
    again = run("sparnet", "--version", "1", "-o", "one.mar")
    assert again.exit_code == 0
    assert (project / "one.mar").read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sparnet", "--version", "7"), "no version 7"),
        (("sparnet", "--version", "nobody"), "no version nobody"),
        (("sparnethd",), "no version champion"),
        (("other",), "sparnet and sparnethd"),
    ],
)
def test_what_is_not_kept_is_told_in_one_line(run, words, told):
    error = run(*words).exception
    assert isinstance(error, UserError)
    assert told in str(error)
    assert "\n" not in str(error)
