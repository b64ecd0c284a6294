from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from sparnet import files, tracking
from sparnet.errors import UserError
from sparnet.images import encode_png, read, resize, to_tensor, to_uint8
from sparnet.inference import pyfunc
from sparnet.models import checkpoint, create
from sparnet.models.generator import Generator
from sparnet.tracking import Registry, Version

CODE = Path(pyfunc.__file__)


@pytest.fixture(scope="module")
def network() -> Generator:
    torch.manual_seed(0)
    small = {"size": 32, "min_channels": 4, "max_channels": 8, "min_feature_size": 8}
    return create(
        "sparnet", **small, residual_depth=0, bottleneck_size=16, attention_channels=4
    ).eval()


def registered(uri: str, name: str, network: Generator, folder: Path, note: int) -> Version:
    """A new version: the note makes its file differ."""
    weights = folder / "best.safetensors"
    checkpoint.save(network, weights, {"note": note})
    sha256 = files.sha256(weights)
    with tracking.run(uri, "registry", name, {tracking.WEIGHTS_TAG: sha256}) as run:
        pass
    return Registry(uri).register(run.run_id, name, weights, sha256, CODE, f"note {note}")


def test_a_registered_model_is_weights_and_code_and_runs(
    uri: str, network: Generator, tmp_path: Path
) -> None:
    version = registered(uri, "runs", network, tmp_path, 0)
    mlflow.set_tracking_uri(uri)
    folder = Path(
        mlflow.artifacts.download_artifacts(artifact_uri=f"models:/runs/{version.version}")
    )
    assert not [*folder.rglob("*.pkl"), *folder.rglob("*.pickle"), *folder.rglob("*.pth")]
    picture = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    loaded = mlflow.pyfunc.load_model(str(folder))
    answer = loaded.predict(pd.DataFrame({"image": [encode_png(picture)]}))
    with torch.inference_mode():
        expected = to_uint8(network(to_tensor(resize(picture, (32, 32)))))[0]
    assert np.array_equal(read(answer["image"][0]), expected)


def test_the_same_weights_are_registered_once(uri: str, network: Generator, tmp_path: Path) -> None:
    first = registered(uri, "once", network, tmp_path, 0)
    again = registered(uri, "once", network, tmp_path, 0)
    assert again == first
    assert [version.version for version in Registry(uri).versions("once")] == [1]


def test_registering_is_quiet_and_describes_the_version(
    uri: str, network: Generator, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    version = registered(uri, "quiet", network, tmp_path, 7)
    assert not [item for item in recwarn if "input example" in str(item.message)]
    client = mlflow.MlflowClient(uri)
    assert client.get_model_version("quiet", str(version.version)).description == "note 7"
    assert "served is what was deployed" in client.get_registered_model("quiet").description


def test_promotion_writes_who_was_replaced_and_roll_back_undoes_it(
    uri: str, network: Generator, tmp_path: Path
) -> None:
    registry = Registry(uri)
    for note in range(3):
        version = registered(uri, "champions", network, tmp_path, note)
        registry.challenge("champions", version.version)
        challenger = registry.by_alias("champions", tracking.CHALLENGER)
        assert challenger is not None
        assert challenger.version == version.version
        registry.promote("champions", version.version)
        assert registry.by_alias("champions", tracking.CHALLENGER) == registry.champion("champions")

    champion = registry.champion("champions")
    assert champion is not None
    assert (champion.version, champion.tags["replaced"]) == (3, "2")
    assert "promoted_at" in champion.tags
    assert registry.roll_back("champions").version == 2
    assert registry.roll_back("champions").version == 1
    assert "rolled_back_at" in registry.versions("champions")[2].tags
    with pytest.raises(UserError, match="champions: no earlier champion"):
        registry.roll_back("champions")

    fetched = registry.download_weights(champion, tmp_path / "fetched")
    assert files.sha256(fetched) == champion.tags[tracking.WEIGHTS_TAG]


def test_a_version_promoted_by_hand_is_no_longer_one_that_was_rolled_back(
    uri: str, network: Generator, tmp_path: Path
) -> None:
    registry = Registry(uri)
    for note in range(2):
        registry.promote("restored", registered(uri, "restored", network, tmp_path, note).version)
    registry.roll_back("restored")
    assert registry.versions("restored")[1].rolled_back_at

    registry.promote("restored", 2)
    champion = registry.champion("restored")
    assert champion is not None
    assert (champion.version, champion.rolled_back_at) == (2, None)


def test_a_model_without_versions_has_no_champion(uri: str) -> None:
    registry = Registry(uri)
    assert registry.champion("nobody") is None
    assert registry.versions("nobody") == []
    with pytest.raises(UserError, match="no earlier champion"):
        registry.roll_back("nobody")


def test_a_file_attached_to_a_version_is_found_by_its_alias(
    uri: str, network: Generator, tmp_path: Path
) -> None:
    registry = Registry(uri)
    version = registered(uri, "attached", network, tmp_path, 0)
    registry.promote("attached", version.version)
    champion = registry.champion("attached")
    assert champion is not None
    assert registry.attached(champion, "data/profile.json") is None
    for content in ("first", "second"):
        (tmp_path / "profile.json").write_text(content)
        registry.attach(version, tmp_path / "profile.json", "data")
        assert registry.attached(champion, "data/profile.json") == content


def test_a_registry_that_does_not_answer_is_not_one_without_a_champion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9: "):
        Registry("http://127.0.0.1:9").champion("anybody")


def test_a_store_is_absent_until_something_is_written(uri: str, tmp_path: Path) -> None:
    assert tracking.is_absent(f"sqlite:///{tmp_path}/mlflow.db")
    tracking.find_run(uri, "absent", "any", "tag")
    assert not tracking.is_absent(uri)
    assert not tracking.is_absent("http://127.0.0.1:9")
