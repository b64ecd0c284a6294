"""What a network is built from: frozen, checked at once, stored with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from sparnet.errors import UserError

NORMS = ("batch", "instance")
ATTENTIONS = ("2d", "3d", "none")

HOURGLASS_SIDE = 64
"""The hourglass of the first encoder unit halves as if its input were this large."""

Config = TypeVar("Config", "GeneratorConfig", "DiscriminatorConfig")


@dataclass(frozen=True)
class GeneratorConfig:
    """The fields of a generator; the defaults are the published SPARNet (16x16 to 128x128).

    min_channels, max_channels: the least and largest width of the trunk.
    size: side in pixels of the square pictures it is made for; others work too.
    min_feature_size: side of the smallest trunk feature map at that size.
    residual_depth: units at the smallest size, beyond those that make up for a shallow encoder.
    norm: "batch" or "instance" (affine, no running statistics).
    attention: "2d" one map per unit, "3d" one per channel, "none".
    bottleneck_size: side of the smallest feature map within the attention, at 64 pixels.
    attention_channels: width of the attention's hourglass.
    spectral_norm: divide every convolution's weight by its largest singular value.
    name: the registered network that this came from, or "custom".

    Raises UserError for a value of the wrong type and for an impossible combination.
    """

    min_channels: int = 32
    max_channels: int = 128
    size: int = 128
    min_feature_size: int = 16
    residual_depth: int = 10
    norm: str = "batch"
    attention: str = "2d"
    bottleneck_size: int = 4
    attention_channels: int = 64
    spectral_norm: bool = False
    name: str = "custom"

    def __post_init__(self) -> None:
        _check_types(self, may_be_zero=("residual_depth",))
        _check_choice("norm", self.norm, NORMS)
        _check_choice("attention", self.attention, ATTENTIONS)
        if self.min_channels > self.max_channels:
            raise UserError(
                f"min_channels {self.min_channels} exceeds max_channels {self.max_channels}"
            )
        _check_halvings("size", self.size, "min_feature_size", self.min_feature_size)
        _check_halvings("the hourglass's", HOURGLASS_SIDE, "bottleneck_size", self.bottleneck_size)
        self._check_depths()
        if self.size < self.least_side:
            raise UserError(
                f"size {self.size} is below {self.least_side}, the least side with "
                f"bottleneck_size {self.bottleneck_size} and min_feature_size "
                f"{self.min_feature_size}; raise one of them"
            )

    def _check_depths(self) -> None:
        if self.body_units < 0:
            raise UserError(
                f"residual_depth {self.residual_depth} is too little for {self.halvings} "
                f"halvings of size; the least is {self.halvings - 3}"
            )
        if self.attention != "none" and self.halvings > self.first_depth:
            raise UserError(
                f"size / min_feature_size may be {2**self.first_depth} at most with "
                f"bottleneck_size {self.bottleneck_size}; lower bottleneck_size or raise "
                "min_feature_size"
            )

    @property
    def halvings(self) -> int:
        """How often the encoder halves the size, and the decoder doubles it."""
        return (self.size // self.min_feature_size).bit_length() - 1

    @property
    def body_units(self) -> int:
        return self.residual_depth + 3 - self.halvings

    @property
    def first_depth(self) -> int:
        """Depth of the hourglass of the first encoder unit."""
        return (HOURGLASS_SIDE // self.bottleneck_size).bit_length() - 1

    @property
    def least_side(self) -> int:
        """The least side of a picture: reflection needs 2 pixels in the smallest feature map."""
        deepest = self.halvings if self.attention == "none" else self.first_depth + 1
        return 2 ** (deepest + 1)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The fields of the multi-scale discriminator; the defaults are those of SPARNetHD.

    base_channels, max_channels: the first width, which doubles per layer, and the largest.
    layers: stride-2 units per scale. scales: levels of the image pyramid, each half the last.
    norm, spectral_norm: as in the generator.
    """

    base_channels: int = 64
    max_channels: int = 512
    layers: int = 4
    scales: int = 3
    norm: str = "instance"
    spectral_norm: bool = True

    def __post_init__(self) -> None:
        _check_types(self)
        _check_choice("norm", self.norm, NORMS)

    @property
    def least_side(self) -> int:
        """The least side of a picture: the 3x3 score needs 3 pixels at the smallest scale."""
        return 2 ** (self.scales - 1) * (2 ** (self.layers + 1) + 1)


def parse(kind: type[Config], values: Mapping[str, Any], defaults: Config | None = None) -> Config:
    """A config from `values`, the rest from `defaults`; an unknown key is a UserError."""
    known = [field.name for field in fields(kind)]
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise UserError(f"unknown network field {unknown[0]!r}; known: {', '.join(known)}")
    return kind(**{**({} if defaults is None else asdict(defaults)), **values})


def _check_types(
    config: GeneratorConfig | DiscriminatorConfig, may_be_zero: tuple[str, ...] = ()
) -> None:
    for field in fields(config):
        value, wanted = getattr(config, field.name), type(field.default)
        if type(value) is not wanted:
            raise UserError(f"{field.name} must be {_WORDS[wanted]}, not {value!r}")
        least = 0 if field.name in may_be_zero else 1
        if isinstance(value, int) and wanted is int and value < least:
            raise UserError(f"{field.name} must be {least} or more, not {value}")


_WORDS: dict[type, str] = {int: "a whole number", str: "a string", bool: "true or false"}


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{field} must be one of {', '.join(choices)}, not {value!r}")


def _check_halvings(whole: str, large: int, field: str, small: int) -> None:
    ratio, rest = divmod(large, small)
    if rest or ratio & (ratio - 1):
        raise UserError(f"{field} {small} must be {whole} {large} divided by a power of two")
