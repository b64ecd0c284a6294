"""The generator of SPARNet and SPARNetHD: a picture in, the same picture restored out.

Chen et al., "Learning Spatial Attention for Face Super-Resolution", IEEE TIP 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparnet.models import spectral
from sparnet.models.blocks import ConvUnit, FaceAttentionUnit, Norm, Scale, initialise
from sparnet.models.compilation import compile_each
from sparnet.models.configs import GeneratorConfig
from sparnet.models.network import Network
from sparnet.models.recompute import recomputed


class Generator(Network):
    """Encoder, body and decoder of face attention units between two convolutions.

    Built with fresh weights from torch's global random numbers. Set `checkpointing` to True to
    train in less memory: units are computed twice.
    """

    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        plan = list(_plan(config))
        self.stem = ConvUnit(3, _first_width(config))
        self.encoder = _units(config, [step for step in plan if step[0] == "down"])
        self.body = _units(config, [step for step in plan if step[0] == "same"])
        self.decoder = _units(config, [step for step in plan if step[0] == "up"])
        self.head = ConvUnit(plan[-1][2] if plan else _first_width(config), 3)
        initialise(self)
        if config.spectral_norm:
            spectral.apply(self)

    @property
    def least_side(self) -> int:
        return self.config.least_side

    def forward(self, x: Tensor) -> Tensor:
        """Restore N x 3 x H x W floats in [-1, 1], already at their final size; the same out.

        The output is not clamped. Sides that the encoder cannot halve evenly are reflected up to
        the next that it can, and cut back. Raises InputError below `least_side`.
        """
        self.check_input(x)
        height, width = x.shape[-2:]
        multiple = 2**self.config.halvings
        features = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        features = self.stem(features)
        for _, unit in self.units():
            features = self._run(unit, features)
        return self.head(features)[..., :height, :width]

    def units(self) -> Iterator[tuple[str, FaceAttentionUnit]]:
        """Every face attention unit with its name, in the order in which they run."""
        for part in ("encoder", "body", "decoder"):
            for index, unit in enumerate(self.get_submodule(part).children()):
                yield f"{part}.{index}", cast(FaceAttentionUnit, unit)

    def compile_units(self) -> None:
        """Let torch.compile speed up each unit: the whole network takes far longer to compile."""
        compile_each(unit for _, unit in self.units())

    def _run(self, unit: FaceAttentionUnit, x: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return recomputed(unit, x)
        return cast(Tensor, unit(x))

    @torch.no_grad()
    def attention_maps(self, x: Tensor) -> list[tuple[str, Tensor]]:
        """Where each unit looks in `x`: (its name, N x 1 x H x W in [0, 1]), in running order.

        Maps have the unit's own resolution; the channels of 3D attention are averaged. Computed
        in evaluation mode; the network's mode is left as it was.
        """
        maps: list[tuple[str, Tensor]] = []
        hooks = [
            unit.attention.register_forward_hook(partial(_keep_map, maps, name))
            for name, unit in self.units()
            if unit.attention is not None
        ]
        training = self.training
        try:
            self.eval()(x)
        finally:
            self.train(training)
            for hook in hooks:
                hook.remove()
        return maps


def _keep_map(
    maps: list[tuple[str, Tensor]], name: str, _module: nn.Module, _inputs: object, output: Tensor
) -> None:
    maps.append((name, output.mean(dim=1, keepdim=True)))


Step = tuple[Scale, int, int, int]
"""A unit's scale, width in, width out, and its hourglass's depth."""


def _first_width(config: GeneratorConfig) -> int:
    return _clipped(config, config.max_channels // (config.halvings + 1))


def _clipped(config: GeneratorConfig, width: int) -> int:
    return max(config.min_channels, min(width, config.max_channels))


def _plan(config: GeneratorConfig) -> Iterator[Step]:
    """The units in order. Only the widths used are clipped: doubling and halving go on beyond."""
    width, depth = _first_width(config), config.first_depth
    for _ in range(config.halvings):
        yield "down", _clipped(config, width), _clipped(config, 2 * width), depth
        width, depth = 2 * width, depth - 1
    depth += 1
    for _ in range(config.body_units):
        yield "same", _clipped(config, width), _clipped(config, width), depth
    for _ in range(config.halvings):
        depth += 1
        yield "up", _clipped(config, width), _clipped(config, width // 2), depth
        width //= 2


def _units(config: GeneratorConfig, steps: list[Step]) -> nn.Sequential:
    return nn.Sequential(
        *(
            FaceAttentionUnit(
                width_in,
                width_out,
                scale=scale,
                norm=cast(Norm, config.norm),
                attention=config.attention,
                attention_channels=config.attention_channels,
                depth=depth,
            )
            for scale, width_in, width_out, depth in steps
        )
    )
