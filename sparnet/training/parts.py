"""What a training changes, as one flat dict of tensors: networks, averages, optimisers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sparnet.models.generator import Generator
from sparnet.training.ema import Ema
from sparnet.training.optimization import Optimizer


def generators(generator: Generator, ema: Ema[Generator] | None) -> dict[str, nn.Module]:
    """The trained generator and, where there is one, its average."""
    parts: dict[str, nn.Module] = {"generator": generator}
    if ema is not None:
        parts["average"] = ema.network
    return parts


def joined(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> dict[str, Tensor]:
    """Every tensor by "PART/NAME"; they are the live ones, not copies."""
    parts = {name: network.state_dict() for name, network in networks.items()}
    parts |= {name: optimizer.tensors() for name, optimizer in optimizers.items()}
    return {
        f"{part}/{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def load(
    tensors: Mapping[str, Tensor],
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
) -> None:
    """Take back what `joined` gave."""
    for name, network in networks.items():
        network.load_state_dict(_part(tensors, name))
    for name, optimizer in optimizers.items():
        optimizer.load(_part(tensors, name))


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
