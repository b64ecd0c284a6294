"""Clients that ask at once, each for the next picture as soon as it has the last."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Ask = Callable[[], int]
"""Sends one picture, waits for the answer and gives its status."""

Connect = Callable[[], Ask]
"""Makes a client, with a connection of its own."""

_TIMEOUT = 300.0
_IDLE_SECONDS = 10.0
"""Servers close connections that were idle for longer; the next picture needs a new one."""


@dataclass
class Load:
    """Seconds of every good answer, the statuses of all, and what it took to get them."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    processor_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds; not a number where no answer was good."""
        return float(np.percentile(self.times, share)) * 1e3 if self.times else float("nan")

    def note(self, status: int, took: float) -> None:
        self.statuses[status] += 1
        if status == http.client.OK:
            self.times.append(took)


def over_http(url: str, headers: Mapping[str, str], body: bytes) -> Connect:
    """Clients that POST `body` to `url` on connections that are kept."""
    parts = urllib.parse.urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path

    def connect() -> Ask:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_TIMEOUT)
        answered = time.monotonic()

        def ask() -> int:
            nonlocal answered
            if time.monotonic() - answered > _IDLE_SECONDS:
                connection.close()
            try:
                connection.request("POST", path, body, dict(headers))
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                return 0
            answered = time.monotonic()
            return answer.status

        return ask

    return connect


def measured(connect: Connect, clients: int, seconds: float) -> Load:
    """The load of so many clients at once, for so long, after one answer that is not counted."""
    asks = [connect() for _ in range(clients)]
    asks[0]()
    load, lock = Load(), threading.Lock()
    start, processor = time.perf_counter(), time.process_time()

    def work(ask: Ask) -> None:
        while (begun := time.perf_counter()) < start + seconds:
            status = ask()
            with lock:
                load.note(status, time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - start
    load.processor_seconds = time.process_time() - processor
    return load


def in_turn(connects: Mapping[str, Connect], seconds: float) -> dict[str, Load]:
    """One client that asks each in turn, so that what else the machine does meets all alike."""
    asks = {name: connect() for name, connect in connects.items()}
    loads = {name: Load() for name in asks}
    for ask in asks.values():
        ask()
    end = time.perf_counter() + seconds * len(asks)
    while time.perf_counter() < end:
        for name, ask in asks.items():
            begun, processor = time.perf_counter(), time.process_time()
            status = ask()
            took = time.perf_counter() - begun
            loads[name].note(status, took)
            loads[name].seconds += took
            loads[name].processor_seconds += time.process_time() - processor
    return loads
