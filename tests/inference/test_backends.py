from __future__ import annotations

import numpy as np
import pytest
import torch

from sparnet import images, models
from sparnet.inference.backends import NotFinite, TorchBackend

TINY = {
    "size": 64,
    "min_channels": 8,
    "max_channels": 16,
    "residual_depth": 1,
    "bottleneck_size": 8,
}


@pytest.fixture(params=["sparnet", "sparnethd"])
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    feature_size = {"sparnet": 16, "sparnethd": 32}[request.param]
    return models.create(request.param, **TINY, min_feature_size=feature_size).eval()


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)


def test_a_backend_gives_what_the_network_gives(model: torch.nn.Module, batch: np.ndarray) -> None:
    with torch.no_grad():
        expected = images.to_uint8(model(images.to_tensor(batch)))
    given = TorchBackend(model, "cpu")(batch)
    assert given.dtype == np.uint8
    assert given.shape == batch.shape
    assert np.abs(given.astype(int) - expected).max() <= 1


def test_large_batches_are_run_in_parts_with_the_same_result(
    model: torch.nn.Module, batch: np.ndarray
) -> None:
    whole, parts = TorchBackend(model, "cpu"), TorchBackend(model, "cpu", batch_size=2)
    assert np.abs(whole(batch).astype(int) - parts(batch)).max() <= 1
    assert parts(batch[:0]).shape == (0, 64, 64, 3)


def test_the_given_network_stays_as_it_was(model: torch.nn.Module, batch: np.ndarray) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    TorchBackend(model, "cpu")(batch)
    assert model.training
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_backend_names_its_network(model: torch.nn.Module) -> None:
    backend = TorchBackend(model, "cpu")
    assert backend.name == model.config.name
    assert backend.size == 64


def test_half_precision_gives_nearly_the_same_picture(batch: np.ndarray) -> None:
    torch.manual_seed(0)
    model = models.create("sparnet", **TINY)
    full, half = (TorchBackend(model, "cpu", precision=kind) for kind in ("float32", "bf16"))
    assert (full.runtime, half.runtime) == ("torch float32 on cpu", "torch bf16 on cpu")
    assert images.psnr(full(batch)[0], half(batch)[0], "float") > 40
    assert not np.array_equal(full(batch), half(batch))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_gives_nearly_the_same_picture(batch: np.ndarray, compiled: bool) -> None:
    torch.manual_seed(0)
    model = models.create("sparnet", **TINY)
    on_gpu = TorchBackend(model, "cuda", precision="auto", compiled=compiled)
    assert images.psnr(TorchBackend(model, "cpu")(batch)[0], on_gpu(batch)[0], "float") > 40
    assert on_gpu.runtime == f"torch bf16 {'compiled ' if compiled else ''}on cuda"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_become_no_picture(batch: np.ndarray, value: float) -> None:
    torch.manual_seed(0)
    model = models.create("sparnet", **TINY)
    with torch.no_grad():
        model.head.conv.bias[1] = value
    with pytest.raises(NotFinite, match="sparnet gives values that are not finite"):
        TorchBackend(model, "cpu")(batch)
