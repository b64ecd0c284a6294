from __future__ import annotations

import functools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparnet import images, models
from sparnet.data.renderer import render
from sparnet.errors import UserError
from sparnet.inference.backends import NotFinite, TorchBackend
from sparnet.inference.openvino import OpenVinoBackend, export
from sparnet.models import registry
from sparnet.models.generator import Generator

TINY = {
    "size": 32,
    "min_channels": 4,
    "max_channels": 8,
    "min_feature_size": 16,
    "residual_depth": 0,
    "bottleneck_size": 32,
    "attention_channels": 4,
}


def tiny(name: str = "sparnet", seed: int = 0, **changes: int) -> Generator:
    """A small network whose output spreads over the grey levels, and its statistics in use."""
    torch.manual_seed(seed)
    network = models.create(name, **TINY | changes)
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(4, 3, 32, 32) * 2 - 1)
        network.eval()
        restored = network(torch.rand(4, 3, 32, 32) * 2 - 1)
        network.head.conv.weight.mul_(0.5 / restored.std())
    return network


@functools.cache
def faces(count: int, size: int = 32) -> images.Picture:
    return np.stack([render(0, person, 0, size).image for person in range(count)])


@pytest.fixture(scope="module")
def network() -> Generator:
    return tiny()


@pytest.fixture(scope="module")
def exported(network: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tiny.xml"
    export(network, path)
    return path


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    for suffix in (".xml", ".bin"):
        source = exported.with_suffix(suffix)
        (tmp_path / source.name).write_bytes(source.read_bytes())
    return tmp_path / exported.name


@pytest.mark.parametrize("name", registry.names())
def test_every_network_gives_what_torch_gives(name: str) -> None:
    network = tiny(name)
    backend = OpenVinoBackend.of(network, batch_size=3, precision="f32")
    expected = TorchBackend(network, "cpu")(faces(3))
    assert expected.std() > 20
    for count in (1, 3):
        given = backend(faces(count))
        assert given.dtype == np.uint8
        assert np.abs(given.astype(int) - expected[:count]).max() <= 1
    assert (backend.name, backend.size, backend.runtime) == (name, 32, "openvino f32")


def test_odd_sides_within_the_network_are_computed_as_torch_does() -> None:
    network = tiny(size=72, min_feature_size=36, bottleneck_size=8)
    given = OpenVinoBackend.of(network, precision="f32")(faces(1, 72)).astype(int)
    assert np.abs(given - TorchBackend(network, "cpu")(faces(1, 72))).max() <= 1


def test_half_precision_costs_no_quality(network: Generator) -> None:
    try:
        backend = OpenVinoBackend.of(network, precision="bf16")
    except UserError as error:
        pytest.skip(str(error))
    exact = TorchBackend(network, "cpu")(faces(8))
    noise = np.random.default_rng(0).normal(0, 10, exact.shape)
    truth = np.clip(exact + noise, 0, 255).astype(np.uint8)
    quality = [images.psnr(result, truth) for result in (backend(faces(8)), exact)]
    assert abs(quality[0] - quality[1]) < 0.02


def test_an_exported_network_is_loaded_again_and_computes_the_same(
    network: Generator, exported: Path
) -> None:
    loaded = OpenVinoBackend.load(exported, threads=1)
    assert (loaded.name, loaded.size) == ("sparnet", 32)
    assert np.array_equal(loaded(faces(2)), OpenVinoBackend.of(network, threads=1)(faces(2)))


def test_the_same_network_gives_the_same_bytes(
    network: Generator, exported: Path, tmp_path: Path
) -> None:
    export(network, tmp_path / "again.xml")
    assert (tmp_path / "again.xml").read_bytes() == exported.read_bytes()
    assert (tmp_path / "again.bin").read_bytes() == exported.with_suffix(".bin").read_bytes()


def test_the_exported_network_stays_as_it_was(tmp_path: Path) -> None:
    network = tiny("sparnethd").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export(network, tmp_path / "tiny.xml")
    after = network.state_dict()
    assert network.training
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_parts_of_a_batch_make_up_the_whole(exported: Path) -> None:
    whole = OpenVinoBackend.load(exported, batch_size=5)(faces(5))
    parts = OpenVinoBackend.load(exported, batch_size=2)
    assert np.abs(parts(faces(5)).astype(int) - whole).max() <= 1
    assert parts(faces(5)[:0]).shape == (0, 32, 32, 3)


def test_an_earlier_result_is_left_alone_by_a_later_call(exported: Path) -> None:
    backend = OpenVinoBackend.load(exported)
    batch = faces(2)
    first = backend(batch[:1])
    kept = first.copy()
    backend(batch[1:])
    assert np.array_equal(first, kept)


def test_threads_share_a_backend(exported: Path) -> None:
    backend = OpenVinoBackend.load(exported, threads=1)
    batches = [face[None] for face in faces(8)]
    expected = [backend(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(backend, batches * 4))
    assert all(np.array_equal(a, b) for a, b in zip(given, expected * 4, strict=True))


@pytest.mark.parametrize("batch", [np.zeros((1, 16, 32, 3), np.uint8), np.zeros((1, 32, 32, 3))])
def test_pictures_of_another_kind_are_refused(exported: Path, batch: Any) -> None:
    with pytest.raises(ValueError, match="expected uint8 Nx32x32x3"):
        OpenVinoBackend.load(exported)(batch)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("damage", ["altered", "cut off", "empty"])
def test_damaged_files_are_refused(copied: Path, suffix: str, damage: str) -> None:
    path = copied.with_suffix(suffix)
    content = path.read_bytes()
    middle = len(content) // 2
    altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"altered": altered, "cut off": content[:middle], "empty": b""}[damage])
    with pytest.raises(UserError, match=r"tiny\.xml: it or its weights are damaged"):
        OpenVinoBackend.load(copied)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_missing_file_is_named(copied: Path, suffix: str) -> None:
    copied.with_suffix(suffix).unlink()
    with pytest.raises(UserError, match=rf"tiny\{suffix}: cannot be read"):
        OpenVinoBackend.load(copied)


def test_weights_of_another_network_are_refused(copied: Path) -> None:
    other = copied.parent / "other.xml"
    export(tiny(seed=1), other)
    other.with_suffix(".bin").replace(copied.with_suffix(".bin"))
    with pytest.raises(UserError, match="damaged"):
        OpenVinoBackend.load(copied)


def test_precision_that_the_cpu_lacks_is_refused(exported: Path) -> None:
    if OpenVinoBackend.load(exported).runtime == "openvino bf16":
        pytest.skip("this CPU has bf16")
    with pytest.raises(UserError, match="precision bf16: this CPU does not have it"):
        OpenVinoBackend.load(exported, precision="bf16")


def test_a_machine_without_openvino_is_told_so(
    network: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"OpenVINO cannot be loaded .* take the backend torch"):
        export(network, tmp_path / "tiny.xml")


def test_nobody_is_told_that_the_library_is_used(exported: Path, tmp_path: Path) -> None:
    """Its telemetry would leave an identity in the home folder, and send it."""
    code = f"""
import sys
from pathlib import Path
from sparnet.inference.openvino import OpenVinoBackend
OpenVinoBackend.load(Path({str(exported)!r}))
print([name for name, module in sys.modules.items() if "telemetry" in name and module])
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "openvino_telemetry" not in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_become_no_picture(value: float) -> None:
    network = tiny()
    with torch.no_grad():
        network.head.conv.bias[1] = value
    with pytest.raises(NotFinite, match="gives values that are not finite"):
        OpenVinoBackend.of(network)(faces(2))
