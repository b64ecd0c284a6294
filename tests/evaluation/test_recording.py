from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_model
import torch
from mlflow import MlflowClient

from sparnet import config, files
from sparnet.data.pairs import FixedPair
from sparnet.data.validation import reference
from sparnet.data.validation.profile import Profile
from sparnet.evaluation import recording
from sparnet.evaluation.contest import Contest, hold
from sparnet.images import resize
from sparnet.models import checkpoint
from sparnet.tracking import Registry, Version


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(f"sqlite:///{tmp_path_factory.mktemp('recorded') / 'mlflow.db'}")


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """A small SPARNet with two test pictures."""
    network: Any = checkpoint.load(small_model.saved(tmp_path_factory.mktemp("small")))
    draws = np.random.default_rng(0)
    hr = draws.integers(0, 256, (2, 64, 64, 3), np.uint8)
    lr = [resize(picture, (8, 8)) for picture in hr]
    pairs: Any = [
        FixedPair(low, resize(low, (64, 64)), high, f"face{place}")
        for place, (low, high) in enumerate(zip(lr, hr, strict=True))
    ]
    return hold("sparnet", network, pairs, "cpu", 2, "float", shown=1)


def worse(contest: Contest) -> Contest:
    """The contest of a network that answers noise."""
    network = small_model.network(seed=1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    return hold("sparnet", network, contest.pairs, "cpu", 2, "float", shown=1)


def data(grey_share: float) -> Profile:
    return Profile(faces=500, persons=50, grey_share=grey_share, quantities={}, embedding=None)


def record(
    registry: Registry, contest: Contest, folder: Path, note: int, profile: Profile
) -> Version:
    """Record weights that differ by their note, trained on data like the profile."""
    path, described = folder / "best.safetensors", folder / reference.NAME
    checkpoint.save(contest.generator, path, {"note": note})
    files.write_json(described, profile.model_dump())
    recording.record(
        [contest],
        {"sparnet": path},
        data_digest="0" * 64,
        evaluation=config.Evaluate(batch_size=2, faces=False, protocol="float"),
        device="cpu",
        store=config.Tracking(uri=registry.uri),
        promotes=True,
        data_profile=described,
    )
    return registry.versions("sparnet")[-1]


def distances(registry: Registry, version: Version) -> dict[str, float]:
    metrics = MlflowClient(registry.uri).get_run(version.run_id).data.metrics
    return {key: value for key, value in metrics.items() if key.startswith("drift/")}


def test_each_version_keeps_the_profile_of_its_data_and_how_far_they_are_from_the_champions(
    registry: Registry, contest: Contest, tmp_path: Path
) -> None:
    first = record(registry, contest, tmp_path, 1, data(grey_share=0.1))
    assert registry.champion("sparnet") == registry.versions("sparnet")[0]
    assert distances(registry, first) == {}

    second = record(registry, contest, tmp_path, 2, data(grey_share=0.4))
    assert distances(registry, second) == {"drift/grey": pytest.approx(0.3)}
    assert reference.of_version(registry, second) == data(grey_share=0.4)

    [known] = reference.of_champions(registry, ["sparnet", "sparnethd"])
    assert (known.name, known.profile) == ("sparnet 1", data(grey_share=0.1))


def test_recording_the_champion_again_changes_nothing(
    registry: Registry, contest: Contest, tmp_path: Path
) -> None:
    record(registry, contest, tmp_path, 1, data(grey_share=0.1))
    before = reference.of_champions(registry, ["sparnet"])
    record(registry, contest, tmp_path, 1, data(grey_share=0.1))
    assert reference.of_champions(registry, ["sparnet"]) == before
    assert distances(registry, before[0].champions[0]) == {}


def test_a_version_that_was_rolled_back_waits_for_a_person(
    contest: Contest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    record(registry, worse(contest), tmp_path, 1, data(grey_share=0.1))
    better = record(registry, contest, tmp_path, 2, data(grey_share=0.1))
    assert registry.champion("sparnet") == registry.versions("sparnet")[1]
    registry.roll_back("sparnet")

    record(registry, contest, tmp_path, 2, data(grey_share=0.1))
    champion = registry.champion("sparnet")
    assert champion is not None
    assert champion.version == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "rolled back on 2" in line]
    assert len(told) == 1
    assert f"version {better.version} stays challenger" in told[0]
    assert "promote it by hand" in told[0]
