"""A map over processes that keeps the order and a bounded number of results in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")
_ITEMS_PER_WORKER = 64


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """`map(function, items)` on `workers` processes (0: in this one), results in order.

    Work goes out in rounds, so that memory stays flat however slow the consumer is. The processes
    are joblib's: `joblib.parallel_config` puts a cluster behind it.
    """
    if workers == 0:
        yield from map(function, items)
        return
    waiting = iter(items)
    with Parallel(n_jobs=workers, return_as="generator") as parallel:
        while batch := list(islice(waiting, workers * _ITEMS_PER_WORKER)):
            yield from parallel(delayed(function)(item) for item in batch)
