"""When a request is sent again, and how long is waited until then."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0


@dataclass(frozen=True)
class Patience:
    """How often and how long one request is tried.

    attempts: the first one included. seconds: from the first attempt until the last may begin.
    unanswered: how long it is tried again without any answer; a server that is restarted is back
    sooner.
    """

    attempts: int = 50
    seconds: float = 300.0
    unanswered: float = 10.0


class Waits:
    """The waits between the attempts at one request."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._start = time.monotonic()
        self._tried = 0
        self._unanswered_since: float | None = None

    def after(self, response: httpx.Response | None) -> float | None:
        """Seconds to wait after an attempt that failed; None where it was the last.

        `response` asks to come back, as its Retry-After says where it has one; None: there was no
        answer. Jitter keeps those who were told the same from coming back together.
        """
        self._tried += 1
        wait = self._wait(response)
        late = self._late(time.monotonic() + wait, answered=response is not None)
        return None if late or self._tried >= self._patience.attempts else wait

    def _wait(self, response: httpx.Response | None) -> float:
        told = retry_after(response.headers.get("retry-after")) if response is not None else None
        if told is not None:
            return told + random.uniform(0.0, 0.1 + told / 4)
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._tried - 1, 10))
        return random.uniform(0.5, 1.0) * longest

    def _late(self, then: float, answered: bool) -> bool:
        if answered:
            self._unanswered_since = None
        elif self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        since = self._unanswered_since
        hopeless = since is not None and then - since > self._patience.unanswered
        return hopeless or then - self._start > self._patience.seconds


def retry_after(header: str | None) -> float | None:
    """Seconds from now by the header Retry-After, as a number or an HTTP date; None: neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
