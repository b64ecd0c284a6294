"""Trying again, fetching several at once, and stopping all of them at Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from sparnet.config import Fetching
from sparnet.errors import UserError
from sparnet.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
LONGEST_WAIT_S = 300.0


class Transient(Exception):
    """What may go better the next time; `wait_s` is what the other side asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Stopped(Exception):
    """Another thread has failed, or the person has pressed Ctrl-C."""


class Patience:
    """How often and how long to try; `wait` sleeps for so many seconds."""

    def __init__(self, fetching: Fetching, wait: Callable[[float], object] | None = None) -> None:
        self._fetching = fetching
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait

    def check(self) -> None:
        """To be called now and then by work in threads: raises Stopped when it is to end."""
        if self._stopped.is_set():
            raise Stopped

    def until_done(
        self, title: str, attempt: Callable[[], Result], so_far: Callable[[], int]
    ) -> Result:
        """The result of `attempt`, which may raise Transient.

        Only tries in a row that brought no more bytes (`so_far`) than any before count.
        """
        failures, most = 0, so_far()
        while True:
            self.check()
            try:
                return attempt()
            except Transient as error:
                now = so_far()
                failures, most = (1, now) if now > most else (failures + 1, most)
                self._wait(self._seconds(title, error, failures))

    def each(
        self, items: Sequence[Item], work: Callable[[Item], Result], label: str
    ) -> list[Result]:
        """work(item) for every item, several at once; the first failure stops the others."""
        if not items:
            return []
        pool = ThreadPoolExecutor(self._fetching.concurrency)
        try:
            futures = [pool.submit(work, item) for item in items]
            for done in progress(as_completed(futures), len(futures), label):
                done.result()
            return [future.result() for future in futures]
        except BaseException:
            self._stopped.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _seconds(self, title: str, error: Transient, failures: int) -> float:
        if failures > self._fetching.retries:
            tries = f"gave up after {failures} tries" if failures > 1 else "gave up"
            raise UserError(f"{title}: {error}; {tries}; run it again to go on") from None
        wait = error.wait_s
        if wait is not None and wait > LONGEST_WAIT_S:
            raise UserError(f"{title}: {error}; it asks to come back in {wait:.0f} s") from None
        doubled = self._fetching.first_wait_s * 2.0 ** min(failures - 1, 16)
        return min(doubled, LONGEST_WAIT_S) if wait is None else wait
