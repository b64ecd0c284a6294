"""What every network here has in common: a config, checked input, strict weights, pickling."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from sparnet.errors import UserError


class InputError(UserError, ValueError):
    """A batch that the network cannot take: wrong dimensions, type or size."""


class Network(nn.Module):
    """A module that `type(self)(config)` rebuilds; `config` is a frozen dataclass.

    Modules with parametrizations (spectral norm) refuse to be pickled, so a network is pickled
    as its config and weights; hooks are not kept.
    """

    config: Any

    @property
    def least_side(self) -> int:
        """The least height and width of the input, in pixels."""
        raise NotImplementedError

    def check_input(self, x: Tensor) -> None:
        """Raise InputError unless `x` is a float batch N x 3 x H x W of sufficient size."""
        if torch.jit.is_tracing():
            return
        if x.ndim != 4 or x.shape[1] != 3:
            raise InputError(f"expected a batch N x 3 x H x W, got the shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise InputError(f"expected floats in [-1, 1], got {x.dtype}; use images.to_tensor")
        if x.shape[2] < self.least_side or x.shape[3] < self.least_side:
            raise InputError(
                f"the picture is {x.shape[3]}x{x.shape[2]}, the least side of this network is "
                f"{self.least_side}; upsample it first (bicubic)"
            )

    @classmethod
    def unfilled(cls, config: Any) -> Self:
        """The structure only, on the meta device: no memory, no random numbers; `fill` it."""
        with torch.device("meta"):
            return cls(config)

    def fill(self, entries: Mapping[str, Tensor], source: str) -> Self:
        """Set every weight and buffer to a copy of its namesake in `entries`; nothing may differ.

        Floats take the type of this network's own. Raises UserError that names `source` and the
        first entry that is missing, unknown or of another shape.
        """
        own = self.state_dict()
        check_entries(entries, {name: tensor.shape for name, tensor in own.items()}, source)
        copies = {
            name: entries[name].detach().to(own[name].dtype, copy=True).contiguous() for name in own
        }
        self.load_state_dict(copies, strict=True, assign=True)
        return self

    def mark_folded(self) -> None:
        """Record in the config that spectral normalisation is now part of the weights."""
        self.config = replace(self.config, spectral_norm=False)

    def __reduce__(self) -> tuple[Any, ...]:
        frozen = [name for name, weight in self.named_parameters() if not weight.requires_grad]
        return _rebuilt, (type(self), self.config, self.state_dict(), self.training, frozen)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = type(self).__new__(type(self))
        memo[id(self)] = clone
        clone.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return clone


def _rebuilt(
    kind: type[Network],
    config: Any,
    state: dict[str, Tensor],
    training: bool,
    frozen: list[str],
) -> Network:
    network = kind.unfilled(config)
    network.load_state_dict(state, strict=True, assign=True)
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)
    return network.train(training)


def check_entries(
    entries: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], source: str
) -> None:
    """Raise UserError unless `entries` has exactly the names and shapes of `wanted`."""
    _refuse([name for name in wanted if name not in entries], "lacks the entry", source)
    _refuse([name for name in entries if name not in wanted], "has the unknown entry", source)
    for name, shape in wanted.items():
        entry = entries[name]
        if not isinstance(entry, Tensor):
            raise UserError(f"{source}: the entry {name} is no tensor but {type(entry).__name__}")
        if entry.shape != shape:
            raise UserError(
                f"{source}: the entry {name} has the shape {list(entry.shape)}, "
                f"this network needs {list(shape)}; check the config that goes with the file"
            )


def _refuse(names: list[str], what: str, source: str) -> None:
    if names:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise UserError(
            f"{source}: {what} {names[0]}{more}; check the config that goes with the file"
        )
