"""How much is let in: so much of each key, so much at once, and nothing new while closing."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from serving.gateway.problems import Refusal

RETRY_SECONDS = 2
"""After which a client may well be let in: a dead worker is back by then."""


class RateLimit:
    """A bucket of tokens for each key: `burst` of them, refilled at `rate` a second."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> None:
        """Raises Refusal 429 where the key has used its tokens up."""
        now = self._clock()
        tokens, then = self._buckets.get(key_id, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        if tokens < 1:
            self._buckets[key_id] = tokens, now
            wait = math.ceil((1 - tokens) / self._rate)
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too many requests with this key", max(1, wait)
            )
        self._buckets[key_id] = tokens - 1, now


class Gate:
    """Counts the requests that are inside."""

    def __init__(self) -> None:
        self._inside = 0
        self._working = 0
        self.closing = False

    @property
    def empty(self) -> bool:
        """Whether every request that came before closing is answered to its last byte."""
        return self._inside == 0

    @property
    def working(self) -> int:
        """Requests that have one of the places."""
        return self._working

    def close(self) -> None:
        """No new work from now on; what is inside goes on."""
        self.closing = True

    @contextlib.contextmanager
    def visit(self) -> Iterator[None]:
        counted = int(not self.closing)  # latecomers are refused and do not hold up the end
        self._inside += counted
        try:
            yield
        finally:
            self._inside -= counted

    @contextlib.contextmanager
    def place(self, capacity: int) -> Iterator[None]:
        """Hold one of `capacity` places; raises Refusal where none is free or the gate closes."""
        if self.closing:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", RETRY_SECONDS)
        if self._working >= capacity:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "the server is busy; try again", RETRY_SECONDS
            )
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
