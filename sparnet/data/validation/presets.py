"""What each degradation preset may draw, and how often: the published recipes, as a table.

Said here independently of the code that draws, so that a fault there cannot excuse itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

FALSE_ALARM = 1e-6
"""Chance that correct draws are found too far from their distribution."""


@dataclass(frozen=True)
class Uniform:
    """Equally likely values of low..high, both included; with `step`, only low + k * step."""

    low: float
    high: float
    step: int | None = None

    def holds(self, values: pd.Series) -> pd.Series:
        numbers = pd.to_numeric(values, errors="coerce")
        inside = numbers.between(self.low, self.high)
        if self.step:
            inside &= (numbers - self.low) % self.step == 0
        return inside

    def distance(self, values: pd.Series) -> float:
        """Kolmogorov-Smirnov: largest gap between the two distribution functions, 0..1."""
        found, counts = np.unique(values.to_numpy(float), return_counts=True)
        after = np.cumsum(counts) / counts.sum()
        before = np.concatenate([[0.0], after[:-1]])
        gaps = np.abs([after - self._below(found, True), before - self._below(found, False)])
        return float(gaps.max())

    def limit(self, count: int) -> float:
        """The distance that `count` correct draws exceed with FALSE_ALARM (DKW inequality)."""
        return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * count))

    def _below(self, values: np.ndarray, included: bool) -> np.ndarray:
        """Probability of a draw below (or at) each value."""
        if self.step is None:
            share = (values - self.low) / (self.high - self.low)
        else:
            rank = (values - self.low) / self.step
            rank = np.floor(rank) + 1 if included else np.ceil(rank)
            share = rank / ((self.high - self.low) / self.step + 1)
        return np.clip(share, 0, 1)

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self.step and self.step > 1 else ""
        return f"{self.low:.4g}..{self.high:.4g}{steps}"


@dataclass(frozen=True)
class Choice:
    """Values with their probabilities; None stands for a null."""

    shares: Mapping[Hashable, float]

    def holds(self, values: pd.Series) -> pd.Series:
        possible = [value for value, share in self.shares.items() if value is not None and share]
        inside = values.isin(possible)
        return inside | values.isna() if self.shares.get(None) else inside

    def distance(self, values: pd.Series) -> float:
        """Largest difference between a share and its probability, 0..1."""
        return max(abs(self.share(values, value) - p) for value, p in self.shares.items())

    def limit(self, count: int) -> float:
        """The distance that `count` correct draws exceed with FALSE_ALARM (Hoeffding, union)."""
        return math.sqrt(math.log(2 * len(self.shares) / FALSE_ALARM) / (2 * count))

    def share(self, values: pd.Series, value: Hashable) -> float:
        return float((values.isna() if value is None else values == value).mean())

    def __str__(self) -> str:
        return ", ".join(
            f"{'none' if value is None else value} {share:.4g}"
            for value, share in self.shares.items()
        )


@dataclass(frozen=True)
class Draw:
    """A parameter and its distribution among the rows where the column `where[0]` is `where[1]`.

    Where no draw of a parameter applies, it must be `otherwise` (None: null).
    """

    parameter: str
    spread: Uniform | Choice
    where: tuple[str, Hashable] | None = None
    otherwise: Hashable = None

    @property
    def name(self) -> str:
        return (
            f"{self.parameter} ({self.where[0]} {self.where[1]})" if self.where else self.parameter
        )

    @property
    def is_constant(self) -> bool:
        return isinstance(self.spread, Choice) and max(self.spread.shares.values()) == 1

    def rows(self, frame: pd.DataFrame) -> pd.Series:
        """Which rows of `frame` the draw applies to."""
        if self.where is None:
            return pd.Series(True, index=frame.index)
        return frame[self.where[0]] == self.where[1]


def always(parameter: str, value: Hashable) -> Draw:
    return Draw(parameter, Choice({value: 1}))


def chance(parameter: str, probability: float) -> Draw:
    return Draw(parameter, Choice({False: 1 - probability, True: probability}))


def with_derived(pairs: pd.DataFrame) -> pd.DataFrame:
    """`pairs` and what some draws are about: round, side, noisy, compressed, grey_apart."""
    return pairs.assign(
        round=pairs["sigma_x"] == pairs["sigma_y"],
        side=(pairs["frame"] / pairs["ratio"]).round(6),
        noisy=pairs["noise_sd"] > 0,
        compressed=pairs["jpeg_quality"].notna(),
        grey_apart=pairs["grey"] != pairs["grey_target"],
    )


_UNBLURRED = tuple(always(name, None) for name in ("blur", "kernel", "sigma_x", "sigma_y", "angle"))

_BICUBIC_X8 = (
    always("frame", None),
    always("ratio", 8.0),
    always("resample", "pillow-bicubic"),
    *_UNBLURRED,
    always("noise_sd", 0.0),
    always("noise_shared", False),
    always("jpeg_quality", None),
    always("grey", False),
    always("grey_target", False),
)


def _blind(
    sigma: tuple[float, float], ratio: tuple[float, float], quality: tuple[int, int], grey: float
) -> tuple[Draw, ...]:
    return (
        always("frame", 512),
        always("blur", "gaussian"),
        always("kernel", 41),
        chance("round", 0.5),
        Draw("sigma_x", Uniform(*sigma)),
        Draw("sigma_y", Uniform(*sigma)),
        Draw("angle", Uniform(-math.pi, math.pi), ("round", False), otherwise=0.0),
        Draw("ratio", Uniform(*ratio)),
        always("resample", "linear"),
        Draw("noise_sd", Uniform(0, 20)),
        always("noise_shared", False),
        Draw("jpeg_quality", Uniform(*quality, step=1)),
        chance("grey", grey),
        always("grey_target", False),
    )


_SPARNET_PAPER = (
    always("frame", 512),
    Draw(
        "blur",
        Choice({None: 0.5, "gaussian": 0.125, "average": 0.125, "median": 0.125, "motion": 0.125}),
    ),
    Draw("sigma_x", Uniform(3, 15), ("blur", "gaussian")),
    Draw("sigma_y", Uniform(3, 15), ("blur", "gaussian")),
    Draw("round", Choice({True: 1}), ("blur", "gaussian"), otherwise=False),
    Draw("kernel", Uniform(21, 91, step=2), ("blur", "gaussian")),
    Draw("kernel", Uniform(3, 15, step=1), ("blur", "average")),
    Draw("kernel", Uniform(3, 15, step=2), ("blur", "median")),
    Draw("kernel", Uniform(5, 25, step=2), ("blur", "motion")),
    Draw("angle", Uniform(0, 2 * math.pi), ("blur", "motion")),
    Draw("side", Uniform(32, 127, step=1)),
    Draw("resample", Choice({"nearest": 0.25, "linear": 0.25, "area": 0.25, "cubic": 0.25})),
    chance("noisy", 0.2),
    Draw("noise_sd", Uniform(0, 25.5), ("noisy", True), otherwise=0.0),
    Draw("noise_shared", Choice({False: 0.5, True: 0.5}), ("noisy", True), otherwise=False),
    chance("compressed", 0.7),
    Draw("jpeg_quality", Uniform(36, 90, step=1), ("compressed", True)),
    chance("grey", 0.3),
    always("grey_apart", False),
)

EXPECTED: Mapping[str, tuple[Draw, ...]] = {
    "bicubic_x8": _BICUBIC_X8,
    "gfpgan": _blind((0.1, 10), (0.8, 8), (60, 100), grey=0.01),
    "codeformer": _blind((1, 15), (4, 30), (30, 80), grey=0),
    "wide": _blind((0.1, 15), (0.8, 32), (30, 100), grey=0.01),
    "sparnet_paper": _SPARNET_PAPER,
}
