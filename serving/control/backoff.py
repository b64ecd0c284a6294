"""How soon, and how often, something that ended is started again."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST = 0.5
_LONGEST = 30.0
_MOST = 6
_SETTLED_SECONDS = 120.0


class Backoff:
    """At once after the first end, then twice as late each time; two minutes of running are a new
    beginning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = 0
        self._started = clock()

    @property
    def exhausted(self) -> bool:
        """Whether it ended so often that starting it again is no help."""
        return self._ends > _MOST

    def started(self) -> None:
        self._started = self._clock()

    def ended(self) -> float:
        """Count an end; the seconds to wait before the next start."""
        if self._clock() - self._started > _SETTLED_SECONDS:
            self._ends = 0
        self._ends += 1
        return 0.0 if self._ends == 1 else min(_LONGEST, _FIRST * 2.0 ** (self._ends - 2))
