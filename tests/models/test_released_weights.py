from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from golden_values import read_golden
from small_networks import picture, relative_error, small

from sparnet.errors import UserError
from sparnet.models import names, registry, spectral
from sparnet.models.checkpoint import from_official, to_official
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.generator import Generator

GENERATORS = ["sparnet_tiny_attn2d", "sparnet_tiny_attn3d", "sparnethd_tiny_attn2d"]
TOLERANCE = 1e-4
CONFIGS = [
    {"attention": "none"},
    {"attention": "3d"},
    {"spectral_norm": True},
    {"norm": "instance"},
    {"min_feature_size": 16},
    {"size": 32, "bottleneck_size": 16, "residual_depth": 1},
    {"residual_depth": 2, "min_channels": 8},
]


@pytest.mark.parametrize("name", names())
def test_every_entry_of_the_full_size_networks_has_its_released_name_and_shape(
    name: str, official_entries: dict[str, Any]
) -> None:
    network = Generator.unfilled(registry.config(name))
    shapes = {entry: list(tensor.shape) for entry, tensor in to_official(network).items()}
    assert shapes == official_entries[name]["entries"]


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_computes_what_the_released_code_computes(name: str, shared: Path) -> None:
    golden = read_golden(shared / "golden", name)
    network = from_official(golden.weights, golden.config)
    with torch.no_grad():
        output = network(golden.tensors["input"])
    assert relative_error(output, golden.tensors["output"]) < TOLERANCE


def test_the_discriminator_computes_what_the_released_code_computes(shared: Path) -> None:
    golden = read_golden(shared / "golden", "discriminator_tiny")
    network = from_official(golden.weights, golden.config)
    with torch.no_grad():
        judgements = network(golden.tensors["input"])
    found = {"input": golden.tensors["input"]}
    for scale, (score, features) in enumerate(judgements):
        found[f"score.{scale}"] = score
        found |= {f"feature.{scale}.{layer}": map_ for layer, map_ in enumerate(features)}
    assert found.keys() == golden.tensors.keys()
    for key, wanted in golden.tensors.items():
        assert relative_error(found[key], wanted) < TOLERANCE, key


@pytest.mark.parametrize("name", [*GENERATORS, "discriminator_tiny"])
def test_released_weights_survive_the_way_in_and_out(name: str, shared: Path) -> None:
    golden = read_golden(shared / "golden", name)
    weights = to_official(from_official(golden.weights, golden.config))
    assert weights.keys() == golden.weights.keys()
    assert all(torch.equal(weights[entry], golden.weights[entry]) for entry in weights)


@pytest.mark.parametrize("overrides", CONFIGS, ids=str)
def test_any_configuration_survives_the_way_out_and_in(overrides: dict[str, Any]) -> None:
    network = small(**overrides).eval()
    config = vars(network.config) | {"name": "custom"}
    again = from_official(to_official(network), config)
    assert not again.training
    assert torch.equal(again(picture()), network(picture()))


def test_a_folded_network_goes_out_with_plain_weights() -> None:
    network = spectral.fold(small("sparnethd")).eval()
    weights = to_official(network)
    assert not [entry for entry in weights if "weight_orig" in entry]
    again = from_official(weights, vars(network.config))
    assert torch.equal(again(picture()), network(picture()))


def test_legacy_weights_can_be_trained_on() -> None:
    network = from_official(to_official(small("sparnethd")), vars(small("sparnethd").config))
    network.train()(picture()).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_the_network_shares_no_memory_with_the_file() -> None:
    weights = to_official(small())
    network = from_official(weights, vars(small().config))
    before = network(picture())
    for tensor in weights.values():
        tensor.zero_()
    assert torch.equal(network(picture()), before)


def test_missing_fields_are_those_of_sparnet() -> None:
    weights = to_official(Generator.unfilled(registry.config("sparnet", attention="none")))
    zeros = {name: torch.zeros(entry.shape) for name, entry in weights.items()}
    network = from_official(zeros, {"attention": "none"})
    assert network.config == registry.config("sparnet", attention="none").__class__(
        attention="none", name="custom"
    )


def test_a_registered_name_is_a_config() -> None:
    weights = to_official(Generator.unfilled(registry.config("sparnet-light-attn3d")))
    zeros = {name: torch.zeros(entry.shape) for name, entry in weights.items()}
    network = from_official(zeros, "sparnet-light-attn3d")
    assert network.config == registry.config("sparnet-light-attn3d")
    assert from_official(zeros, {"attention": "3d", "residual_depth": 1}).config == network.config


def test_a_missing_entry_is_named() -> None:
    weights = to_official(small())
    del weights["res_layers.1.conv1.norm.norm.running_mean"]
    with pytest.raises(UserError, match=r"lacks .* res_layers\.1\.conv1\.norm\.norm\.running_mean"):
        from_official(weights, vars(small().config))


def test_an_extra_entry_is_named() -> None:
    weights = to_official(small()) | {"encoder.9.conv1.conv2d.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"unknown entry encoder\.9\.conv1\.conv2d\.weight"):
        from_official(weights, vars(small().config))


def test_an_entry_of_another_shape_is_named_with_both_shapes() -> None:
    weights = to_official(small()) | {"out_conv.conv2d.bias": torch.zeros(4)}
    with pytest.raises(UserError, match=r"out_conv\.conv2d\.bias .*\[4\].*\[3\]"):
        from_official(weights, vars(small().config))


def test_an_entry_that_is_no_tensor_is_named() -> None:
    weights: dict[str, Any] = to_official(small()) | {"out_conv.conv2d.bias": [0, 0, 0]}
    with pytest.raises(UserError, match=r"out_conv\.conv2d\.bias is no tensor"):
        from_official(weights, vars(small().config))


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(UserError, match="unknown network field 'min_ch'"):
        from_official(to_official(small()), {"min_ch": 32})


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UserError, match="unknown network 'sparnet-xl'; known: sparnet, "):
        from_official(to_official(small()), "sparnet-xl")


def test_the_discriminator_survives_the_way_out_and_in() -> None:
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(base_channels=4, layers=2, scales=2).eval()
    again = from_official(to_official(network), {"base_channels": 4, "layers": 2, "scales": 2})
    for (score, _), (wanted, _) in zip(again(picture()), network(picture()), strict=True):
        assert torch.equal(score, wanted)


def test_other_modules_have_no_released_form() -> None:
    with pytest.raises(UserError, match="Conv2d has no released form"):
        to_official(torch.nn.Conv2d(3, 3, 3))
