"""Counter-based random draws: the same key gives the same numbers in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Plain Python numbers from a Philox generator keyed by the SHA-256 of `parts`.

    Python floats (never NumPy scalars) keep float32 pictures float32.
    """

    def __init__(self, *parts: int | str) -> None:
        digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
        self._generator = np.random.Generator(
            np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        )

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self._generator.random())

    def normal(self, mean: float, deviation: float, reach: float = 2.2) -> float:
        """A normal draw kept within `reach` deviations of the mean."""
        value = float(self._generator.standard_normal())
        return mean + deviation * min(max(value, -reach), reach)

    def chance(self, probability: float) -> bool:
        return float(self._generator.random()) < probability

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        if weights is None:
            return options[int(self._generator.integers(len(options)))]
        cumulative = np.cumsum(weights)
        place = float(self._generator.random()) * cumulative[-1]
        return options[int(np.searchsorted(cumulative, place, side="right"))]

    def mixture(self, parts: int, concentration: float) -> list[float]:
        """Weights that sum to one; a low concentration favours one part."""
        return [float(w) for w in self._generator.dirichlet(np.full(parts, concentration))]
