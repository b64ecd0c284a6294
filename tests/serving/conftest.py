from __future__ import annotations

import signal
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fake_torchserve
import gateway_thread
import handler_context
import pytest
import running_server
import torch
from fake_torchserve import FakeTorchServe
from gateway_thread import PNG, Gateway
from handler_context import Answer
from running_server import Server

from serving import archive, packaging
from serving.handler import SparnetHandler
from sparnet import models
from sparnet.config import Package
from sparnet.models import checkpoint


@dataclass(frozen=True)
class Packaged:
    """Archives of tiny, untrained networks, and the weights inside."""

    store: Path
    weights: dict[str, Path]
    settings: Package
    sides: dict[str, int]


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    folder = tmp_path_factory.mktemp("packaged")
    settings = Package(
        batch_size=4,
        workers=1,
        threads=1,
        queue_size=8,
        max_megapixels=1.0,
    )
    sides = {"sparnet": 64, "sparnethd": 128}
    weights = {name: folder / name / "best.safetensors" for name in archive.MODELS}
    for name, path in weights.items():
        torch.manual_seed(0)
        network = models.create(
            name,
            size=sides[name],
            min_channels=8,
            max_channels=16,
            min_feature_size=16,
            residual_depth=1,
            bottleneck_size=8,
            attention_channels=8,
            spectral_norm=False,
        )
        if name == "sparnethd":  # untrained, it makes much of what bfloat16 rounds away
            with torch.no_grad():
                network.head.conv.weight.mul_(0.05)
        path.parent.mkdir()
        checkpoint.save(network, path)
        packaging.build(name, path, settings, folder / "build" / f"{name}.mar")
    return Packaged(folder / "build", weights, settings, sides)


@pytest.fixture(scope="session")
def server(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with both models; at its end nothing of it is left."""
    server = running_server.started(packaged.store, tmp_path_factory.mktemp("session"))
    family = server.family()
    try:
        yield server
    finally:
        code = running_server.end(server, signal.SIGTERM)
    assert code == 0
    assert not [process for process in family if process.is_running()]
    assert not list(server.temporary.iterdir())
    server.temporary.rmdir()
    left = {path.name for path in server.folder.iterdir()}
    kept = {"archives", "audit.jsonl", "deployed.json", "keys.json"}
    assert left == {*kept, "gateway.log", "lock", "server.log", "stderr"}


@pytest.fixture(scope="module")
def upstream_server() -> Iterator[FakeTorchServe]:
    with fake_torchserve.running(PNG) as server:
        yield server


@pytest.fixture
def upstream(upstream_server) -> FakeTorchServe:
    upstream_server.told.clear()
    upstream_server.asked.clear()
    upstream_server.go_on.clear()
    while upstream_server.arrived.acquire(blocking=False):
        pass
    return upstream_server


@pytest.fixture(scope="module")
def shared_gateway(upstream_server, tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_thread.running(folder, upstream_server.url, max_body_bytes=100_000) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway: Gateway, upstream: FakeTorchServe) -> Gateway:
    """The shared one, in front of a TorchServe that has forgotten what went before."""
    assert not upstream.asked
    return shared_gateway


@pytest.fixture(scope="session")
def unpacked(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of sparnet as TorchServe unpacks it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(packaged.store / "sparnet.mar") as stored:
        stored.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def handler(unpacked: Path) -> SparnetHandler:
    return handler_context.loaded(unpacked)


@pytest.fixture
def answer(handler: SparnetHandler, unpacked: Path) -> Answer:
    """Answer one request: (status, content type, body)."""
    return handler_context.answering(handler, unpacked)


@pytest.fixture(scope="module")
def versions(packaged, tmp_path_factory) -> list[Path]:
    """Two archives of the model sparnet with different weights."""
    folder = tmp_path_factory.mktemp("versions")
    other = checkpoint.load(packaged.weights["sparnet"])
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.01)
    weights = folder / "other" / "best.safetensors"
    weights.parent.mkdir()
    checkpoint.save(other, weights)
    packaging.build("sparnet", weights, packaged.settings, folder / "other.mar")
    return [packaged.store / "sparnet.mar", folder / "other.mar"]


@pytest.fixture(scope="module")
def own(packaged, tmp_path_factory) -> Iterator[Server]:
    """A server with the model sparnet, whose versions change."""
    server = running_server.started(
        packaged.store, tmp_path_factory.mktemp("own"), "--model", "sparnet"
    )
    yield server
    if server.process.poll() is None:
        assert running_server.end(server, signal.SIGTERM) == 0
    assert not list(server.temporary.iterdir())
    server.temporary.rmdir()
