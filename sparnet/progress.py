"""Progress of long work: a bar on a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 10.0


def progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield the items while showing count, rate and time left on stderr."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, dynamic_ncols=True)
    else:
        yield from _with_lines(items, total, label)


def _with_lines(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    start = shown = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= _SECONDS_BETWEEN_LINES and done < total:
            shown = now
            rate = done / (now - start)
            left = (total - done) / rate
            print(f"{label}: {done}/{total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr)
    print(f"{label}: {done} in {time.monotonic() - start:.1f} s", file=sys.stderr)
