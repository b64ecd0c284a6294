"""The named presets: which parameters are drawn, from which ranges (all uniform)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from numpy.random import Generator

from sparnet.data.degradation.record import Record, Resample
from sparnet.data.keyed import generator
from sparnet.errors import UserError

FRAME = 512
_RESAMPLES: tuple[Resample, ...] = ("nearest", "linear", "area", "cubic")


@dataclass(frozen=True)
class BlindRange:
    """Ranges (low, high) of one blind-restoration recipe, for pictures of side FRAME."""

    sigma: tuple[float, float]
    ratio: tuple[float, float]
    noise_sd: tuple[float, float]
    jpeg_quality: tuple[int, int]
    grey: float = 0.0
    window: int = 41


def _bicubic_x8(_: Generator) -> Record:
    return Record(preset="bicubic_x8", frame=None, ratio=8.0, resample="pillow-bicubic")


def _blind(preset: str, ranges: BlindRange, random: Generator) -> Record:
    round_one = _chance(random, 0.5)
    sigma_x = random.uniform(*ranges.sigma)
    sigma_y = random.uniform(*ranges.sigma)
    angle = random.uniform(-math.pi, math.pi)
    return Record(
        preset=preset,
        frame=FRAME,
        blur="gaussian",
        kernel=ranges.window,
        sigma_x=sigma_x,
        sigma_y=sigma_x if round_one else sigma_y,
        angle=0.0 if round_one else angle,
        ratio=random.uniform(*ranges.ratio),
        resample="linear",
        noise_sd=random.uniform(*ranges.noise_sd),
        noise_seed=_seed(random),
        jpeg_quality=_whole(random, *ranges.jpeg_quality),
        grey=_chance(random, ranges.grey),
    )


def _sparnet_paper(random: Generator) -> Record:
    blur = _paper_blur(random) if _chance(random, 0.5) else {}
    ratio = FRAME / _whole(random, 32, 127)
    resample = _RESAMPLES[_whole(random, 0, len(_RESAMPLES) - 1)]
    noisy = _chance(random, 0.2)
    noise_sd, shared, seed = random.uniform(0, 25.5), _chance(random, 0.5), _seed(random)
    compressed = _chance(random, 0.7)
    quality = _whole(random, 36, 90)
    grey = _chance(random, 0.3)
    return Record(
        preset="sparnet_paper",
        frame=FRAME,
        ratio=ratio,
        resample=resample,
        noise_sd=noise_sd if noisy else 0.0,
        noise_shared=noisy and shared,
        noise_seed=seed if noisy else 0,
        jpeg_quality=quality if compressed else None,
        grey=grey,
        grey_target=grey,
        **blur,
    )


def _paper_blur(random: Generator) -> dict:
    match _whole(random, 0, 3):
        case 0:
            sigma = random.uniform(3, 15)
            window = 2 * math.ceil(3 * sigma) + 1
            return {"blur": "gaussian", "kernel": window, "sigma_x": sigma, "sigma_y": sigma}
        case 1:
            return {"blur": "average", "kernel": _whole(random, 3, 15)}
        case 2:
            return {"blur": "median", "kernel": 2 * _whole(random, 1, 7) + 1}
        case _:
            angle = random.uniform(0, 2 * math.pi)
            return {"blur": "motion", "kernel": 2 * _whole(random, 2, 12) + 1, "angle": angle}


def _chance(random: Generator, probability: float) -> bool:
    return float(random.random()) < probability


def _whole(random: Generator, low: int, high: int) -> int:
    """A whole number from low..high, both included."""
    return int(random.integers(low, high, endpoint=True))


def _seed(random: Generator) -> int:
    return int(random.integers(2**63))


_BLIND = {
    "gfpgan": BlindRange((0.1, 10), (0.8, 8), (0, 20), (60, 100), grey=0.01),
    "codeformer": BlindRange((1, 15), (4, 30), (0, 20), (30, 80)),
    "wide": BlindRange((0.1, 15), (0.8, 32), (0, 20), (30, 100), grey=0.01),
}

PRESETS: Mapping[str, Callable[[Generator], Record]] = MappingProxyType(
    {
        "bicubic_x8": _bicubic_x8,
        **{name: partial(_blind, name, ranges) for name, ranges in _BLIND.items()},
        "sparnet_paper": _sparnet_paper,
    }
)
"""Name -> how a record is drawn from a generator. bicubic_x8: the task of SPARNet; gfpgan,
codeformer: as those two were trained; wide: DifFace's and PMRF's; sparnet_paper: SPARNetHD's."""


def draw(preset: str, seed: int, image_id: str, variant: int) -> Record:
    """The parameters of one degradation: a pure function of the four arguments.

    Raises UserError where no preset has that name.
    """
    if preset not in PRESETS:
        raise UserError(f"degradation preset {preset!r} is unknown; one of {', '.join(PRESETS)}")
    return PRESETS[preset](generator("degradation", preset, seed, image_id, variant))
