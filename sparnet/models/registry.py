"""The five published networks, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparnet.errors import UserError
from sparnet.models.configs import GeneratorConfig, parse
from sparnet.models.generator import Generator

_SPARNET = GeneratorConfig(name="sparnet")
_SPARNETHD = GeneratorConfig(
    max_channels=512,
    size=512,
    min_feature_size=32,
    norm="instance",
    spectral_norm=True,
    name="sparnethd",
)
_NETWORKS = {
    config.name: config
    for config in (
        _SPARNET,
        replace(_SPARNET, attention="3d", name="sparnet-attn3d"),
        replace(_SPARNET, attention="3d", residual_depth=1, name="sparnet-light-attn3d"),
        _SPARNETHD,
        replace(_SPARNETHD, attention="3d", name="sparnethd-attn3d"),
    )
}


def names() -> list[str]:
    """The registered networks."""
    return list(_NETWORKS)


def config(name: str, /, **overrides: Any) -> GeneratorConfig:
    """The config of the network `name`, some fields replaced.

    Raises UserError for an unknown name or field and for an impossible value.
    """
    if name not in _NETWORKS:
        raise UserError(f"unknown network {name!r}; known: {', '.join(_NETWORKS)}")
    if "name" in overrides:
        raise UserError("a network's name cannot be overridden; choose among the registered ones")
    return parse(GeneratorConfig, overrides, defaults=_NETWORKS[name])


def name_of(unnamed: GeneratorConfig) -> str:
    """The registered network with exactly these fields, or "custom"."""
    for name, known in _NETWORKS.items():
        if replace(unnamed, name=name) == known:
            return name
    return "custom"


def create(name: str, /, **overrides: Any) -> Generator:
    """The network `name` with fresh weights from torch's global random numbers.

    `overrides` are fields of GeneratorConfig. Raises UserError as `config` does.
    """
    return Generator(config(name, **overrides))
