from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, fx

from sparnet import config
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.data.pairing import write_pairs
from sparnet.data.preparation import prepare
from sparnet.images import encode_png, resize
from sparnet.tracking import store

ROOT = Path(__file__).resolve().parents[2]
SIZE = 32
NETWORK = {
    "min_channels": 4,
    "max_channels": 8,
    "min_feature_size": 8,
    "residual_depth": 0,
    "bottleneck_size": 16,
    "attention_channels": 4,
}
TRAINING: dict[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "optimizer": {"lr": 1.0e-3, "betas": [0.9, 0.99]},
    "schedule": {"name": "cosine", "warmup_steps": 2},
    "augment": {"flip": 0.5, "scale": 1.2},
    "validate_every": 3,
    "validation_pictures": 3,
    "checkpoint_every": 2,
    "log_every": 1,
    "strips": 1,
}


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """The committed parameters with tiny networks and data, as YAML would give them."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["compute"] = {"workers": 0, "threads": 1, "device": "cpu"}
    params["download"] = {"source": "folder", "folder": {"path": "faces"}}
    params["prepare"] |= {"sizes": {"sparnet": SIZE, "sparnethd": SIZE}, "val": 0.25, "test": 0.25}
    params["degrade"]["sparnethd"] = {"preset": "wide", "variants": 2}
    params["train_sparnet"] |= TRAINING | {"network": {"name": "sparnet", **NETWORK}}
    params["train_sparnethd"] |= TRAINING | {
        "network": {"name": "sparnethd", **NETWORK},
        "discriminator": {"base_channels": 4, "layers": 2, "scales": 2},
        "optimizer": {"lr": 1.0e-3, "betas": [0.5, 0.99]},
        "ema_decay": 0.9,
        "spectral_warm_up": 2,
    }
    return params


@pytest.fixture(scope="session")
def params(tiny: dict[str, Any]) -> config.Params:
    return config.parse(tiny)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, params: config.Params) -> Path:
    """A root with `data/prepared` and `data/pairs` of 24 smooth pictures."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    (root / "faces").mkdir()
    for index in range(24):
        coarse = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        picture = resize(coarse, (64, 64))
        (root / "faces" / f"{index:02d}.png").write_bytes(encode_png(picture))
    folder = params.download.folder
    assert folder is not None
    settings = params.download.model_copy(
        update={"folder": folder.model_copy(update={"path": str(root / "faces")})}
    )
    download(sources.create(settings, 0, 0), root / "data/raw", 100)
    prepared = root / "data/prepared"
    prepare(root / "data/raw", prepared, params.prepare, 0, 0, root / "state")
    write_pairs(prepared, root / "data/pairs", params.degrade, params.prepare.sizes, 0, 0)
    return root


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(
    tmp_path: Path,
    data: Path,
    tiny: dict[str, Any],
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The current folder: data, tiny parameters, an empty MLflow store."""
    (tmp_path / "data").symlink_to(data / "data")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny))
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    # Absolute, as MLflow keeps a process's stores by their address.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


@pytest.fixture(autouse=True)
def _torch_as_before() -> Iterator[None]:
    """Trainings set torch's threads and determinism; later tests must not notice."""
    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture
def compiled() -> Iterator[list[fx.GraphModule]]:
    """What torch.compile compiles, run as it is; it fails where it would give a function up."""
    graphs: list[fx.GraphModule] = []

    def kept(graph: fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    torch.compiler.set_default_backend(kept)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield graphs
    torch.compiler.set_default_backend(None)
    torch.compiler.reset()
