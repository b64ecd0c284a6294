from __future__ import annotations

import pytest
import yaml

from sparnet import config, profiles
from sparnet.stages.common import tracking_of


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> config.Params:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return config.parse(yaml.safe_load(profiles.text("quick")), "quick")


def test_the_environments_address_wins(params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_of(params).uri == "http://127.0.0.1:5000"


def test_without_dvc_the_address_is_that_of_the_parameters(params):
    assert tracking_of(params).uri == params.tracking.uri == "sqlite:///mlflow.db"


def test_an_experiment_in_a_temporary_copy_writes_to_the_projects_store(params, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", "/home/me/project")
    assert tracking_of(params).uri == "sqlite:////home/me/project/mlflow.db"


@pytest.mark.parametrize("uri", ["sqlite:////srv/mlflow.db", "http://127.0.0.1:5000"])
def test_an_address_that_is_complete_stays(params, monkeypatch, uri):
    monkeypatch.setenv("DVC_ROOT", "/home/me/project")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking_of(params).uri == uri
