"""The discriminator of SPARNetHD: the same patch network at several scales of the picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from sparnet.models import spectral
from sparnet.models.blocks import ConvUnit, Norm, initialise
from sparnet.models.compilation import compile_each
from sparnet.models.configs import DiscriminatorConfig, parse
from sparnet.models.network import Network

Judgement = tuple[Tensor, list[Tensor]]
"""The score map N x 1 x h x w (not bounded) and the features after each unit."""


class PatchDiscriminator(nn.Module):
    """A convolution at full size, units that halve it and double the width, a score per patch."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [
            min(config.base_channels * 2**layer, config.max_channels)
            for layer in range(config.layers + 1)
        ]
        self.units = nn.ModuleList([ConvUnit(3, widths[0], active=True)])
        for width_in, width_out in pairwise(widths):
            norm = cast(Norm, config.norm)
            self.units.append(ConvUnit(width_in, width_out, scale="down", norm=norm, active=True))
        self.score = ConvUnit(widths[-1], 1, padded=False)

    def forward(self, x: Tensor) -> Judgement:
        features = []
        for unit in self.units:
            x = unit(x)
            features.append(x)
        return self.score(x), features


class MultiScaleDiscriminator(Network):
    """Independent patch discriminators on the picture, on its half, and so on.

    Keywords are the fields of DiscriminatorConfig. Built with fresh weights from torch's global
    random numbers.
    """

    config: DiscriminatorConfig

    def __init__(self, config: DiscriminatorConfig | None = None, **fields: Any) -> None:
        super().__init__()
        self.config = config or parse(DiscriminatorConfig, fields)
        self.scales = nn.ModuleList(
            PatchDiscriminator(self.config) for _ in range(self.config.scales)
        )
        initialise(self)
        if self.config.spectral_norm:
            spectral.apply(self)

    @property
    def least_side(self) -> int:
        return self.config.least_side

    def compile_scales(self) -> None:
        """Let torch.compile speed up the network of each scale."""
        compile_each(self.scales)

    def forward(self, x: Tensor) -> list[Judgement]:
        """Judge N x 3 x H x W floats in [-1, 1] at each scale, the full size first.

        Raises InputError below `least_side`.
        """
        self.check_input(x)
        judgements: list[Judgement] = []
        for scale in self.scales:
            if judgements:
                x = F.interpolate(x, scale_factor=0.5, mode="bicubic", align_corners=False)
            judgements.append(scale(x))
        return judgements
