from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import SMALL, picture, small

from sparnet.errors import UserError
from sparnet.models import checkpoint, create, names, registry
from sparnet.models.generator import Generator
from sparnet.models.network import InputError

PARAMETERS = {
    "sparnet": 10_518_867,
    "sparnet-attn3d": 11_562_083,
    "sparnet-light-attn3d": 5_242_211,
    "sparnethd": 85_793_412,
    "sparnethd-attn3d": 90_093_793,
}
UNITS = {
    "sparnet": 16,
    "sparnet-attn3d": 16,
    "sparnet-light-attn3d": 7,
    "sparnethd": 17,
    "sparnethd-attn3d": 17,
}

each_network = pytest.mark.parametrize("name", names())


def test_the_five_published_networks_are_registered() -> None:
    assert names() == list(PARAMETERS)


@each_network
def test_full_size_networks_have_the_published_size(name: str) -> None:
    network = Generator.unfilled(registry.config(name))
    assert sum(weight.numel() for weight in network.parameters()) == PARAMETERS[name]
    assert len(list(network.units())) == UNITS[name]
    assert network.config.name == name


@each_network
def test_every_weight_gets_a_finite_gradient(name: str) -> None:
    network = small(name)
    output = network(picture())
    assert output.shape == (2, 3, 32, 32)
    output.square().mean().backward()
    for entry, weight in network.named_parameters():
        assert weight.grad is not None, entry
        assert weight.grad.isfinite().all(), entry


@each_network
def test_a_saved_network_comes_back_exactly_and_gives_the_same_bytes(
    name: str, tmp_path: Path
) -> None:
    network = small(name).eval()
    checkpoint.save(network, tmp_path / "first.safetensors", {"step": 3, "a": 1})
    loaded = checkpoint.load(tmp_path / "first.safetensors")
    checkpoint.save(loaded, tmp_path / "second.safetensors", {"a": 1, "step": 3})
    assert loaded.config == network.config
    assert torch.equal(loaded(picture()), network(picture()))
    first, second = (tmp_path / f"{which}.safetensors" for which in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@each_network
def test_copies_are_equal_and_independent(name: str) -> None:
    network = small(name).eval()
    before = network(picture())
    for clone in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert clone.config == network.config
        assert not clone.training
        assert torch.equal(clone(picture()), before)
        with torch.no_grad():
            for weight in clone.parameters():
                weight.zero_()
        assert torch.equal(network(picture()), before)


def test_pickling_keeps_what_is_frozen_and_the_mode() -> None:
    network = small("sparnethd").train()
    network.stem.requires_grad_(False)
    again = pickle.loads(pickle.dumps(network))
    assert again.training
    assert {name: weight.requires_grad for name, weight in again.named_parameters()} == {
        name: weight.requires_grad for name, weight in network.named_parameters()
    }


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@each_network
def test_exported_and_traced_networks_compute_the_same(name: str) -> None:
    network = small(name).eval()
    with torch.no_grad():
        wanted = network(picture())
        exported = torch.export.export(network, (picture(),)).module()(picture())
        traced = torch.jit.trace(network, picture())(picture())
    torch.testing.assert_close(exported, wanted)
    torch.testing.assert_close(traced, wanted)


def test_an_export_can_leave_the_size_open() -> None:
    network = small().eval()
    height = 4 * torch.export.Dim("quarter", min=4, max=64)
    program = torch.export.export(network, (picture(),), dynamic_shapes=({2: height},))
    taller = torch.cat([picture(), picture()], dim=2)
    torch.testing.assert_close(program.module()(taller), network(taller))


def test_fresh_weights_follow_the_published_distribution() -> None:
    torch.manual_seed(0)
    network = create("sparnet", **SMALL | {"max_channels": 64, "min_channels": 32})
    for part in network.modules():
        if isinstance(part, torch.nn.Conv2d):
            assert part.bias is None or not part.bias.any()
            if part.weight.numel() > 5000:
                assert part.weight.std().item() == pytest.approx(0.02, rel=0.1)
        if isinstance(part, torch.nn.BatchNorm2d):
            assert not part.bias.any()
            assert part.weight.mean().item() == pytest.approx(1, abs=0.03)


def test_the_same_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(create("sparnethd", **SMALL).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 22), (33, 40), (64, 8)])
def test_any_sides_from_the_least_on_are_kept(height: int, width: int) -> None:
    network = small().eval()
    output = network(picture(64)[..., :height, :width])
    assert output.shape[-2:] == (height, width)
    assert output.isfinite().all()


def test_an_uneven_picture_is_treated_as_its_reflected_extension() -> None:
    network = small().eval()
    uneven = picture()[..., :30, :31]
    extended = torch.nn.functional.pad(uneven, (0, 1, 0, 0), mode="reflect")
    assert torch.equal(network(uneven), network(extended)[..., :30, :31])


def test_the_128_network_takes_64_and_refuses_less() -> None:
    network = create("sparnet-light-attn3d").eval()
    with torch.no_grad():
        assert network(picture(64, batch=1)).shape == (1, 3, 64, 64)
    with pytest.raises(InputError, match="16x16, the least side of this network is 64; upsample"):
        network(picture(16))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(3, 32, 32), r"N x 3 x H x W, got the shape \(3, 32, 32\)"),
        (torch.zeros(1, 1, 32, 32), r"N x 3 x H x W, got the shape \(1, 1, 32, 32\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "expected floats"),
        (torch.zeros(1, 3, 7, 32), "32x7, the least side"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(batch: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small()(batch)


def test_a_refused_batch_is_a_user_error_and_a_value_error() -> None:
    assert issubclass(InputError, UserError)
    assert issubclass(InputError, ValueError)


def test_channels_last_changes_the_layout_only() -> None:
    network = small().eval()
    wanted = network(picture())
    network = network.to(memory_format=torch.channels_last)
    found = network(picture().to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("sparnett", "size", 128, "unknown network 'sparnett'; known: sparnet, sparnet-attn3d"),
        ("sparnet", "sise", 128, "unknown network field 'sise'; known: min_channels, "),
        ("sparnet", "name", "mine", "name cannot be overridden"),
        ("sparnet", "norm", "none", "norm must be one of batch, instance, not 'none'"),
        ("sparnet", "attention", "4d", "attention must be one of 2d, 3d, none"),
        ("sparnet", "size", "128", "size must be a whole number"),
        ("sparnet", "size", True, "size must be a whole number"),
        ("sparnet", "spectral_norm", 1, "spectral_norm must be true or false"),
        ("sparnet", "size", 0, "size must be 1 or more"),
        ("sparnet", "size", 100, "min_feature_size 16 must be size 100 divided by a power of two"),
        ("sparnet", "size", 32, "size 32 is below 64"),
        ("sparnet", "bottleneck_size", 5, "bottleneck_size 5 must be the hourglass's 64"),
        ("sparnet", "bottleneck_size", 32, "lower bottleneck_size or raise min_feature_size"),
        ("sparnet", "min_channels", 200, "min_channels 200 exceeds max_channels 128"),
        ("sparnethd", "residual_depth", 0, "residual_depth 0 is too little for 4 halvings"),
    ],
)
def test_impossible_networks_are_refused(name: str, field: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        create(name, **{field: value})


def test_without_attention_a_unit_is_a_plain_residual_block() -> None:
    network = small(attention="none").eval()
    unit = network.body[0]
    x = torch.randn(1, 8, 8, 8)
    features = unit.second(unit.first(torch.nn.functional.leaky_relu(unit.entry_norm(x), 0.2)))
    assert torch.equal(unit(x), x + features)
    assert network.attention_maps(picture()) == []


@pytest.mark.parametrize("attention", ["2d", "3d"])
def test_attention_maps_come_in_order_within_0_and_1(attention: str) -> None:
    network = small(attention=attention).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    maps = network.attention_maps(picture())
    sides = {name: tuple(map_.shape) for name, map_ in maps}
    assert sides == {
        "encoder.0": (2, 1, 16, 16),
        "body.0": (2, 1, 16, 16),
        "body.1": (2, 1, 16, 16),
        "decoder.0": (2, 1, 32, 32),
    }
    assert list(sides) == [name for name, _ in network.units()]
    assert all(((map_ > 0) & (map_ < 1)).all() for _, map_ in maps)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("synchronised", [False, True])
@pytest.mark.parametrize("name", ["sparnet", "sparnethd"])
def test_checkpointing_changes_neither_gradients_nor_buffers(name: str, synchronised: bool) -> None:
    plain, saving = small(name), small(name)
    if synchronised:
        plain, saving = map(torch.nn.SyncBatchNorm.convert_sync_batchnorm, (plain, saving))
    saving.checkpointing = True
    for network in (plain, saving):
        network.train()(picture()).square().mean().backward()
    gradients = dict(plain.named_parameters())
    for entry, weight in saving.named_parameters():
        assert torch.equal(weight.grad, gradients[entry].grad), entry
    buffers = dict(plain.named_buffers())
    for entry, buffer in saving.named_buffers():
        assert torch.equal(buffer, buffers[entry]), entry
    assert all(part.training for part in saving.modules())
