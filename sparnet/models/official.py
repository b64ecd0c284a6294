"""Weights in the form of the released files: their entries' names, and how they map to ours.

A released network with spectral normalisation holds `weight_orig`, `weight_u` and `weight_v`
where ours holds `parametrizations.weight.*`; both stay in training shape. `spectral.fold` makes
plain weights of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

from sparnet.errors import UserError
from sparnet.models import registry
from sparnet.models.blocks import Attention, ConvUnit, FaceAttentionUnit, HourglassLevel
from sparnet.models.configs import DiscriminatorConfig, GeneratorConfig, parse
from sparnet.models.discriminator import MultiScaleDiscriminator, PatchDiscriminator
from sparnet.models.generator import Generator
from sparnet.models.network import check_entries
from sparnet.models.spectral import RELEASED_NAMES

SOURCE = "released weights"
DISCRIMINATOR_PREFIX = "D_pool."

Pair = tuple[str, str]
"""A leaf module's path here, and in the released files."""


def from_official(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any] | str
) -> Generator | MultiScaleDiscriminator:
    """Our network, in evaluation mode, with a copy of the released weights.

    `config` is a registered network's name, or some of the fields of GeneratorConfig (the rest
    are SPARNet's). A discriminator is told by its entries' names; `config` then holds fields of
    DiscriminatorConfig. Raises UserError for an unknown name or field, and for the first entry
    that is missing, unknown or of another shape.
    """
    network = _unfilled(state_dict, config)
    names = _official_names(network)
    own = network.state_dict()
    check_entries(state_dict, {names[name]: own[name].shape for name in own}, SOURCE)
    return network.fill({name: state_dict[names[name]] for name in own}, SOURCE).eval()


def to_official(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights under the released names.

    With spectral normalisation in the legacy form; a folded network gives plain `weight` entries,
    which `from_official` takes back under `spectral_norm: false`.
    """
    if not isinstance(module, Generator | MultiScaleDiscriminator):
        raise UserError(f"{type(module).__name__} has no released form")
    names = _official_names(module)
    return {names[name]: entry.clone() for name, entry in module.state_dict().items()}


def _unfilled(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any] | str
) -> Generator | MultiScaleDiscriminator:
    if isinstance(config, str):
        return Generator.unfilled(registry.config(config))
    if any(name.startswith(DISCRIMINATOR_PREFIX) for name in state_dict):
        return MultiScaleDiscriminator.unfilled(parse(DiscriminatorConfig, config))
    parsed = parse(GeneratorConfig, config)
    return Generator.unfilled(replace(parsed, name=registry.name_of(parsed)))


def _official_names(network: Generator | MultiScaleDiscriminator) -> dict[str, str]:
    """Each of the network's entries -> its released name."""
    modules = dict(_pairs(network))
    names = {}
    for own in network.state_dict():
        path, _, suffix = own.partition(".parametrizations.")
        if suffix:
            names[own] = f"{modules[path]}.{RELEASED_NAMES[f'parametrizations.{suffix}']}"
        else:
            path, _, suffix = own.rpartition(".")
            names[own] = f"{modules[path]}.{suffix}"
    return names


def _pairs(network: Generator | MultiScaleDiscriminator) -> Iterator[Pair]:
    if isinstance(network, Generator):
        yield from _conv_unit(network.stem, "stem", "encoder.0")
        for name, unit in network.units():
            part, index = name.split(".")
            yield from _face_attention_unit(unit, name, _official_unit(part, int(index)))
        yield from _conv_unit(network.head, "head", "out_conv")
    else:
        yield from _discriminator(network)


def _official_unit(part: str, index: int) -> str:
    """The released encoder counts the first convolution as its unit 0."""
    return {
        "encoder": f"encoder.{index + 1}",
        "body": f"res_layers.{index}",
        "decoder": f"decoder.{index}",
    }[part]


def _face_attention_unit(unit: FaceAttentionUnit, own: str, official: str) -> Iterator[Pair]:
    if isinstance(unit.shortcut, ConvUnit):
        yield from _conv_unit(unit.shortcut, f"{own}.shortcut", f"{official}.shortcut_func")
    yield f"{own}.entry_norm", f"{official}.preact_func.0.norm"
    yield from _conv_unit(unit.first, f"{own}.first", f"{official}.conv1")
    yield from _conv_unit(unit.second, f"{own}.second", f"{official}.conv2")
    if unit.attention is not None:
        yield from _attention(unit.attention, f"{own}.attention", f"{official}.att_func")


def _attention(attention: Attention, own: str, official: str) -> Iterator[Pair]:
    yield from _hourglass(attention.hourglass, f"{own}.hourglass", official)
    yield from _conv_unit(attention.to_map, f"{own}.to_map", f"{official}.out_block.0")


def _hourglass(level: HourglassLevel, own: str, official: str) -> Iterator[Pair]:
    """The released levels lie side by side, numbered from the deepest, which is 1."""
    number = level.depth
    yield from _conv_unit(level.skip, f"{own}.skip", f"{official}.b1_{number}")
    yield from _conv_unit(level.down, f"{own}.down", f"{official}.b2_{number}")
    if isinstance(level.inner, HourglassLevel):
        yield from _hourglass(level.inner, f"{own}.inner", official)
    elif isinstance(level.inner, ConvUnit):
        yield from _conv_unit(level.inner, f"{own}.inner", f"{official}.b2_plus_{number}")
    yield from _conv_unit(level.up, f"{own}.up", f"{official}.b3_{number}")


def _discriminator(network: MultiScaleDiscriminator) -> Iterator[Pair]:
    for scale, module in enumerate(network.scales):
        patches = cast(PatchDiscriminator, module)
        own, official = f"scales.{scale}", f"{DISCRIMINATOR_PREFIX}{scale}"
        for index, unit in enumerate(patches.units):
            yield from _conv_unit(unit, f"{own}.units.{index}", f"{official}.model.{index}")
        yield from _conv_unit(patches.score, f"{own}.score", f"{official}.score_out")


def _conv_unit(unit: nn.Module, own: str, official: str) -> Iterator[Pair]:
    yield f"{own}.conv", f"{official}.conv2d"
    if getattr(unit, "norm", None) is not None:
        yield f"{own}.norm", f"{official}.norm.norm"
