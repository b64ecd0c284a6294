"""How much is let in: so much of each key, so much at once, and nothing new while closing."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus

from serving.gateway.problems import Refusal
from serving.gateway.visit import Visit

RETRY_SECONDS = 2
"""After which a client may well be let in: a dead worker is back by then."""

_BUSY = "the server is busy; try again"


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
    """Counts the requests that are inside, and the bytes of pictures that they hold."""

    def __init__(self, most_bytes: int = 1 << 30) -> None:
        """most_bytes: that all requests hold together; those of one key hold half at most."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._bytes_by_key: Counter[str | None] = Counter()
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
    def visit(self, visit: Visit) -> Iterator[None]:
        counted = int(not self.closing)  # latecomers are refused and do not hold up the end
        self._inside += counted
        try:
            yield
        finally:
            self._inside -= counted
            self._bytes -= visit.held
            self._bytes_by_key[visit.key_id] -= visit.held
            self._bytes_by_key += Counter()  # forgets whoever holds nothing

    def hold(self, visit: Visit, size: int) -> None:
        """Let a request hold `size` bytes more until its answer is sent.

        Raises Refusal where that is more than there is room for.
        """
        if self._bytes_by_key[visit.key_id] + size > self._most_bytes // 2:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too much at once with this key", RETRY_SECONDS
            )
        if self._bytes + size > self._most_bytes:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY, RETRY_SECONDS)
        visit.held += size
        self._bytes += size
        self._bytes_by_key[visit.key_id] += size

    def check(self, capacity: int) -> None:
        """Raises Refusal where none of `capacity` places is free or the gate closes."""
        if self.closing:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", RETRY_SECONDS)
        self._check_free(capacity)

    @contextlib.contextmanager
    def place(self, capacity: int) -> Iterator[None]:
        """Hold one of `capacity` places, though the gate may close; raises Refusal where none is
        free."""
        self._check_free(capacity)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    def _check_free(self, capacity: int) -> None:
        if self._working >= capacity:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, _BUSY, RETRY_SECONDS)
