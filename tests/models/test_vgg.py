from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from small_networks import picture
from torch import Tensor

from sparnet.errors import UserError
from sparnet.models import vgg
from sparnet.models.vgg import PerceptualFeatures

POOLINGS_AFTER = (2, 7, 16, 25)
"""Index in the published `features` of the last convolution before each pooling."""


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """Random weights under the names of the published file."""
    generator = torch.Generator().manual_seed(0)
    entries, channels = {"classifier.0.weight": torch.zeros(1)}, 3
    for index, width in zip(
        [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
        [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8,
        strict=True,
    ):
        weight = torch.randn(width, channels, 3, 3, generator=generator)
        entries[f"features.{index}.weight"] = weight * (2 / (9 * channels)) ** 0.5
        entries[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
        channels = width
    return entries


def written(entries: dict[str, Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file whose own digest is the one that is expected."""
    path = folder / "vgg.pth"
    torch.save(entries, path)
    head = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(vgg, "SHA256_HEAD", head)
    return path


def reference(entries: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The five layers by walking the published indices one by one."""
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = ((x + 1) / 2 - mean) / deviation
    kept = []
    for name in [name for name in entries if name.endswith("weight") and "features" in name]:
        index = int(name.split(".")[1])
        x = F.conv2d(x, entries[name], entries[f"features.{index}.bias"], padding=1)
        if index == 34:
            return [*kept, x]
        x = F.relu(x)
        if index in POOLINGS_AFTER:
            kept.append(x)
            x = F.max_pool2d(x, 2)
    raise AssertionError("conv5_4 is missing")


def test_the_layers_are_the_published_ones(
    published: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = PerceptualFeatures(written(published, tmp_path, monkeypatch))
    x = picture(224, batch=1)[..., :32, :]
    for found, wanted in zip(features(x), reference(published, x), strict=True):
        torch.testing.assert_close(found, wanted)


def test_shapes_and_activations_of_the_layers() -> None:
    features = PerceptualFeatures(None, random_weights=True)(picture(256, batch=1)[..., :32, :])
    shapes = [tuple(map_.shape[1:]) for map_ in features]
    assert shapes == [(64, 32, 256), (128, 16, 128), (256, 8, 64), (512, 4, 32), (512, 2, 16)]
    assert all((map_ >= 0).all() for map_ in features[:4])
    assert (features[4] < 0).any()


def test_narrow_pictures_are_enlarged_to_224() -> None:
    network = PerceptualFeatures(None, random_weights=True)
    network.blocks = network.blocks[:2]
    small = picture(64, batch=1)
    enlarged = F.interpolate(small, size=(224, 224), mode="bilinear")
    for found, wanted in zip(network(small), network(enlarged), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)


def test_gradients_reach_the_picture_and_no_weight() -> None:
    network = PerceptualFeatures(None, random_weights=True)
    network.blocks = network.blocks[:2]
    x = picture(32, batch=1).requires_grad_()
    network(x)[-1].sum().backward()
    assert x.grad is not None
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("path", [None, "absent.pth"])
def test_without_weights_the_error_says_what_to_fetch(path: str | None) -> None:
    with pytest.raises(UserError, match=r"no VGG19 weights at .*; fetch https://.*dcbb9e9d\.pth"):
        PerceptualFeatures(path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vgg.pth").write_bytes(b"something else")
    with pytest.raises(UserError, match="not the standard VGG19 weights"):
        PerceptualFeatures(tmp_path / "vgg.pth")


def test_a_file_with_an_entry_too_few_is_refused(
    published: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {name: entry for name, entry in published.items() if name != "features.34.bias"}
    with pytest.raises(UserError, match=r"lacks the entry features\.34\.bias"):
        PerceptualFeatures(written(entries, tmp_path, monkeypatch))


def test_fetching_verifies_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written({}, tmp_path, monkeypatch)
    path = vgg.fetch(tmp_path / "cache", url=source.as_uri())
    assert path.read_bytes() == source.read_bytes()
    source.unlink()
    assert vgg.fetch(tmp_path / "cache", url=source.as_uri()) == path


def test_fetching_another_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(b"an error page")
    with pytest.raises(UserError, match="not the standard VGG19 weights"):
        vgg.fetch(tmp_path / "cache", url=(tmp_path / "wrong").as_uri())
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetching_offline_says_what_to_put_where(tmp_path: Path) -> None:
    url = (tmp_path / "absent").as_uri()
    with pytest.raises(UserError, match=rf"fetch {url} .* put it at {tmp_path}/{vgg.FILE_NAME}"):
        vgg.fetch(tmp_path, url=url)
