from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_model
import torch
from mlflow import MlflowClient

from sparnet import config, files
from sparnet.data.pairs import FixedPair
from sparnet.data.validation import reference
from sparnet.data.validation.profile import Profile
from sparnet.evaluation import recording, seen
from sparnet.evaluation.contest import Contest, hold
from sparnet.images import resize
from sparnet.inference.backends import TorchBackend
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


@pytest.fixture(scope="module")
def rivals(contest: Contest) -> tuple[Contest, Contest]:
    """Two networks on twelve pictures: the first is perfect on seven, the second on five."""
    draws = np.random.default_rng(1)
    networks = [contest.generator, small_model.network(seed=2)]
    pairs: Any = []
    for place in range(12):
        low = draws.integers(0, 256, (8, 8, 3), np.uint8)
        enlarged = resize(low, (64, 64))
        [restored] = TorchBackend(networks[place >= 7], "cpu", 1)(enlarged[None])
        pairs.append(FixedPair(low, enlarged, restored, f"face{place}"))
    first, second = (hold("sparnet", each, pairs, "cpu", 1, "float", shown=1) for each in networks)
    return first, second


def data(grey_share: float) -> Profile:
    return Profile(faces=500, persons=50, grey_share=grey_share, quantities={}, embedding=None)


def prepared(trained_with: Container[int] = ()) -> pd.DataFrame:
    """A manifest of twelve people with a picture each; the others are the test split."""
    return pd.DataFrame(
        {
            "id": f"face{place}",
            "split": "train" if place in trained_with else "test",
            "person": f"person{place}",
            "sha256": f"{place:064x}",
        }
        for place in range(12)
    )


def record(
    registry: Registry,
    contest: Contest,
    folder: Path,
    note: int,
    profile: Profile,
    faces: pd.DataFrame | None = None,
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
        prepared=prepared() if faces is None else faces,
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


def test_a_challenger_meets_the_champion_on_faces_that_neither_has_seen(
    rivals: tuple[Contest, Contest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    first, second = rivals
    record(registry, first, tmp_path, 1, data(grey_share=0.1), prepared(trained_with=range(8)))
    record(registry, second, tmp_path, 2, data(grey_share=0.1))
    assert registry.champion("sparnet") == registry.versions("sparnet")[0]
    told = "version 2 stays challenger: of 12 test pictures only 4 show people"
    assert told in capsys.readouterr().err

    record(registry, first, tmp_path, 3, data(grey_share=0.1), prepared(trained_with=range(7)))
    registry.promote("sparnet", 3)
    record(registry, second, tmp_path, 4, data(grey_share=0.1))
    assert registry.champion("sparnet") == registry.versions("sparnet")[3]
    assert "on 5 test pictures (7 left out)" in capsys.readouterr().err


def test_a_champion_without_a_list_of_its_faces_is_met_on_all(
    rivals: tuple[Contest, Contest],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    first, second = rivals
    with monkeypatch.context() as before_lists:
        before_lists.setattr(seen, "keep", lambda *_: None)
        record(registry, first, tmp_path, 1, data(grey_share=0.1))
    record(registry, second, tmp_path, 2, data(grey_share=0.1))
    told = capsys.readouterr().err
    assert "version 1, the champion, has no list of the faces" in told
    assert "on 12 test pictures (0 left out)" in told
    assert registry.champion("sparnet") == registry.versions("sparnet")[0]
