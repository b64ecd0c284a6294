"""A map over processes that keeps the order and a bounded number of results in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Generic, Self, TypeVar

import cloudpickle
from joblib import Parallel, delayed

from sparnet.config import Compute
from sparnet.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
_ITEMS_PER_WORKER = 64


@dataclass(frozen=True)
class Workers:
    """Who does the work: `count` processes of this machine (0: this one), or a Dask cluster.

    `cluster` is the address of its scheduler, such as "tcp://host:8786"; `count` has no say then.
    """

    count: int = 0
    cluster: str | None = None

    @classmethod
    def of(cls, compute: Compute) -> Self:
        return cls(compute.workers, compute.cluster)


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | Workers
) -> Iterator[Result]:
    """`map(function, items)` by the workers, results in order; a number: so many processes.

    Work goes out in rounds, so that memory stays flat however slow the consumer is. UserError where
    a worker is lost for good.
    """
    workers = Workers(workers) if isinstance(workers, int) else workers
    if workers.cluster is not None:
        from sparnet.data import cluster  # Dask takes a second to import

        with cluster.joined(workers.cluster) as crew:
            yield from _in_rounds(crew.parallel, crew.checked(_Once(function)), items, crew.size)
    elif workers.count:
        with Parallel(workers.count, return_as="generator") as parallel:
            yield from _in_rounds(parallel, _Once(function), items, lambda: workers.count)
    else:
        yield from map(function, items)


class _Once(Generic[Item, Result]):
    """A function that a process unpickles once: models that it loads stay, batch after batch."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._pickled = cloudpickle.dumps(function)

    def __call__(self, item: Item) -> Result:
        return _unpickled(self._pickled)(item)


@lru_cache(maxsize=2)
def _unpickled(pickled: bytes) -> Any:
    return cloudpickle.loads(pickled)


def _in_rounds(
    parallel: Parallel,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    size: Callable[[], int],
) -> Iterator[Result]:
    waiting = iter(items)
    try:
        while batch := list(islice(waiting, size() * _ITEMS_PER_WORKER)):
            yield from parallel(delayed(function)(item) for item in batch)
    except BrokenProcessPool:
        raise UserError(
            "a process was ended from outside, perhaps for want of memory; "
            "fewer of them (compute.workers, --jobs) may help"
        ) from None
