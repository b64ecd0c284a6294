"""The building blocks of SPARNet: convolution unit, hourglass attention, face attention unit."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sparnet.models import enlarging
from sparnet.models.padding import bordered

Norm = Literal["batch", "instance"]
Scale = Literal["same", "down", "up"]

INITIAL_DEVIATION = 0.02
NEGATIVE_SLOPE = 0.2


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """Batch norm with running statistics, or affine instance norm without them."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=True)


def activate(x: Tensor) -> Tensor:
    """LeakyReLU, in the place of `x`: the layers before it do not need their own output again."""
    return F.leaky_relu(x, NEGATIVE_SLOPE, inplace=True)


def initialise(module: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02), batch-norm weights from N(1, 0.02); set biases to 0.

    On the meta device there is nothing to draw, and trying would take seconds.
    """
    if any(weight.is_meta for weight in module.parameters()):
        return
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, INITIAL_DEVIATION)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, INITIAL_DEVIATION)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


class ConvUnit(nn.Module):
    """[nearest x2] -> 3x3 convolution over reflected borders -> [norm] -> [activation].

    The convolution has a bias only where no norm follows. NCHW in and out.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        scale: Scale = "same",
        norm: Norm | None = None,
        active: bool = False,
        padded: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.active = active
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel_size=3,
            stride=2 if scale == "down" else 1,
            bias=norm is None,
        )
        self._padded = padded
        self.norm = None if norm is None else normalisation(norm, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale == "up" and enlarging.pays(x):
            x = enlarging.convolve(x, self.conv.weight, self.conv.bias)
        else:
            if self.scale == "up":
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.conv(bordered(x, "reflect") if self._padded else x)
        if self.norm is not None:
            x = self.norm(x)
        return activate(x) if self.active else x


class HourglassLevel(nn.Module):
    """One level of the hourglass: a skip beside a branch of half the size, which holds the next.

    N x channels_in x H x W in, N x channels x H x W out.
    """

    def __init__(self, channels_in: int, channels: int, depth: int, norm: Norm) -> None:
        super().__init__()
        self.depth = depth
        self.skip = ConvUnit(channels_in, channels, norm=norm, active=True)
        self.down = ConvUnit(channels_in, channels, scale="down", norm=norm, active=True)
        self.inner: nn.Module
        if depth > 1:
            self.inner = HourglassLevel(channels, channels, depth - 1, norm)
        else:
            self.inner = ConvUnit(channels, channels, norm=norm, active=True)
        self.up = ConvUnit(channels, channels, scale="up", norm=norm, active=True)

    def forward(self, x: Tensor) -> Tensor:
        skipped = self.skip(x)
        low = self.up(self.inner(self.down(x)))
        # An odd side comes back one larger; nearest resizing by one pixel is exactly this crop.
        return skipped + low[..., : x.shape[-2], : x.shape[-1]]


class Attention(nn.Module):
    """Where to look: an hourglass, then a sigmoid map in [0, 1] of `maps` channels, size kept."""

    def __init__(self, features: int, width: int, maps: int, depth: int, norm: Norm) -> None:
        super().__init__()
        self.hourglass = HourglassLevel(features, width, depth, norm)
        self.to_map = ConvUnit(width, maps)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_map(self.hourglass(x)).sigmoid()


class FaceAttentionUnit(nn.Module):
    """The residual block of SPARNet (FAU): shortcut(x) + f * attention(f), of two convolutions f.

    `attention` is "2d" (one map), "3d" (a map per channel) or "none" (the plain residual block).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        scale: Scale,
        norm: Norm,
        attention: str,
        attention_channels: int,
        depth: int,
    ) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if scale != "same" or channels_in != channels_out:
            self.shortcut = ConvUnit(channels_in, channels_out, scale=scale)
        self.entry_norm = normalisation(norm, channels_in)
        self.first = ConvUnit(
            channels_in,
            channels_out,
            scale="up" if scale == "up" else "same",
            norm=norm,
            active=True,
        )
        self.second = ConvUnit(
            channels_out, channels_out, scale="down" if scale == "down" else "same", norm=norm
        )
        self.attention: Attention | None = None
        if attention != "none":
            maps = 1 if attention == "2d" else channels_out
            self.attention = Attention(channels_out, attention_channels, maps, depth, norm)

    def forward(self, x: Tensor) -> Tensor:
        features = self.second(self.first(activate(self.entry_norm(x))))
        if self.attention is not None:
            features = features * self.attention(features)
        return self.shortcut(x) + features
