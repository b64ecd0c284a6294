"""The parameters that are measured: a profile, some of its keys changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sparnet import config, profiles
from sparnet.config import TrainSparnet, TrainSparnetHd

TINY_NETWORK = {
    "min_channels": 4,
    "max_channels": 8,
    "min_feature_size": 16,
    "residual_depth": 0,
    "bottleneck_size": 32,
    "attention_channels": 4,
}
TINY_DISCRIMINATOR = {"base_channels": 4, "layers": 1, "scales": 2}
TINY_SIZE = 32


def parameters(name: str, **changes: Any) -> config.Params:
    """The profile `name`; `changes` are blocks, merged into its own at every depth."""
    return config.parse(_merged(yaml.safe_load(profiles.text(name)), changes))


def tiny(**changes: Any) -> config.Params:
    """The quick start with networks that take milliseconds a step, on pictures of 32 pixels."""
    quick = parameters(
        "quick",
        prepare={
            "sizes": {"sparnet": TINY_SIZE, "sparnethd": TINY_SIZE},
            "min_side": TINY_SIZE,
        },
        train_sparnet={"network": TINY_NETWORK},
        train_sparnethd={"network": TINY_NETWORK, "discriminator": TINY_DISCRIMINATOR},
    )
    return config.parse(_merged(quick.model_dump(by_alias=True), changes))


def published(network: str, *, quick: bool = False) -> tuple[TrainSparnet | TrainSparnetHd, int]:
    """How the published recipe trains the network of that name, and the side of its pictures.

    `quick` shrinks networks and pictures, and leaves out the perceptual loss.
    """
    of_hd = network.startswith("sparnethd")
    changes: dict[str, Any] = {"network": {"name": network, **(TINY_NETWORK if quick else {})}}
    if of_hd and quick:
        changes |= {"discriminator": TINY_DISCRIMINATOR, "losses": {"perceptual": 0.0}}
    model = "sparnethd" if of_hd else "sparnet"
    params = parameters("paper", **{f"train_{model}": changes})
    size = TINY_SIZE if quick else getattr(params.prepare.sizes, model)
    return (params.train_sparnethd if of_hd else params.train_sparnet), size


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        known = result.get(key)
        both = isinstance(value, Mapping) and isinstance(known, Mapping)
        result[key] = _merged(known or {}, value) if both else value
    return result
