"""A Dask cluster behind joblib: the bytes that one process gives, or one line why not."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import cloudpickle
from distributed import CancelledError, Client, Future, KilledWorker, Security, get_worker
from distributed.client import VersionsDict
from distributed.comm import connect
from distributed.versions import VersionMismatchWarning
from joblib import Parallel
from joblib._dask import DaskDistributedBackend

import sparnet
from sparnet import files
from sparnet.data.environment import versions
from sparnet.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_S = 10.0
"""How long the scheduler may take to answer."""
WORKERS_S = 60.0
"""How long the cluster may be without any worker."""
STATE = Path(".state/cluster")
"""Where a file lies by which the workers know the folder for the same."""

_CARRIERS = ("dask", "distributed")
"""The packages that carry work and results."""


@dataclass(frozen=True)
class Crew:
    """The workers of a cluster behind a parallel map, which takes `checked` functions."""

    parallel: Parallel
    size: Callable[[], int]
    """How many workers there are now, two at least."""
    marker: Path

    def checked(self, function: Callable[[Item], Result]) -> Callable[[Item], Result]:
        """The function, refused by a worker that might not do what this process does."""
        return _Checked(function, environment(), self.marker)


@contextmanager
def joined(address: str) -> Iterator[Crew]:
    """The workers of the cluster whose scheduler is at `address`, until the end of the context.

    UserError where no scheduler answers, no worker is there, or one of them is lost for good.
    """
    with _client(address) as client, _marker() as marker:
        backend = _Backend(client=client, wait_for_workers_timeout=WORKERS_S)
        parallel = Parallel(n_jobs=-1, backend=backend, return_as="generator")
        with backend.watched():
            yield Crew(parallel, backend.effective_n_jobs, marker)


@cache
def environment() -> Mapping[str, str]:
    """By name, what must be the same in two processes that are to give the same bytes."""
    code = files.code_sha256([Path(sparnet.__file__).parent])
    packages = versions(*_CARRIERS)
    return {"Python": platform.python_version(), **packages, "this project's code": code[:12]}


@contextmanager
def _client(address: str) -> Iterator[Client]:
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # tracebacks; ours are lines
    try:
        asyncio.run(_greeted(address))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # a table; ours is one line
            client = Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"compute.cluster: no Dask scheduler answers at {address} ({_line(error)}); start it, "
            "mend the address, or set null for processes of this machine"
        ) from None
    with client:
        theirs = cast(VersionsDict, client.get_versions())["scheduler"]["packages"]
        ours = {name: environment()[name] for name in _CARRIERS}
        _refuse_another(ours, theirs, "the scheduler")
        yield client


async def _greeted(address: str) -> None:
    """OSError where no scheduler answers in time: a client waits for ever for one that is stuck."""
    security = Security().get_connection_args("client")
    greeting = connect(address, timeout=ANSWER_S, **security)
    (await asyncio.wait_for(greeting, ANSWER_S)).abort()


@contextmanager
def _marker() -> Iterator[Path]:
    STATE.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=STATE.absolute())
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class _Checked(Generic[Item, Result]):
    """A function that looks around in the worker before it does anything."""

    function: Callable[[Item], Result]
    environment: Mapping[str, str]
    marker: Path

    def __call__(self, item: Item) -> Result:
        who = f"the worker {get_worker().address}"
        _refuse_another(self.environment, environment(), who)
        if get_worker().state.nthreads != 1:
            raise UserError(f"compute.cluster: {who} has several threads; give it --nthreads 1")
        if not self.marker.exists():
            raise UserError(
                f"compute.cluster: {who} does not see {self.marker.parents[2]}; every machine "
                "needs the project's folder, shared, at the same path"
            )
        return self.function(item)


class _Backend(DaskDistributedBackend):
    """joblib's backend, without two of its ways: it waits for ever where Dask itself fails, and
    scatters arguments to single workers, with which they are lost."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sent: dict[Future, Callable[[Any], None]] = {}

    def effective_n_jobs(self, n_jobs: int = -1) -> int:
        """The workers, but two at least: joblib does the work of one in this process."""
        try:
            return max(2, super().effective_n_jobs(n_jobs))
        except TimeoutError:
            raise _without_workers() from None

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Future:
        # As bytes, which the scheduler passes on without a look.
        sent = self.client.submit(_results, cloudpickle.dumps(func.items), pure=False)
        self._sent[sent] = callback
        sent.add_done_callback(self._settle)
        return sent

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002
        sent = list(self._sent)
        self._sent.clear()
        self.client.cancel(sent, force=True)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within, all is given up once the cluster has been without workers for too long."""
        watch = asyncio.run_coroutine_threadsafe(self._watch(), self.client.loop.asyncio_loop)
        try:
            yield
        finally:
            watch.cancel()

    def _settle(self, sent: Future) -> None:
        try:
            outcome = sent.result()
        except BaseException as error:
            outcome = _explained(error)
        if callback := self._sent.pop(sent, None):
            callback(outcome)

    async def _watch(self) -> None:
        seen = time.monotonic()
        while time.monotonic() - seen < WORKERS_S:
            await asyncio.sleep(1.0)
            if await self._has_workers():
                seen = time.monotonic()
        while self._sent:
            self._sent.popitem()[1](_without_workers())

    async def _has_workers(self) -> bool:
        try:
            return bool(await asyncio.wait_for(self.client.scheduler.ncores(), ANSWER_S))
        except (OSError, TimeoutError):
            return False


def _results(calls: bytes) -> list[Any]:
    return [function(*values, **named) for function, values, named in cloudpickle.loads(calls)]


def _refuse_another(ours: Mapping[str, str], theirs: Mapping[str, str], who: str) -> None:
    for name, version in ours.items():
        if theirs[name] != version:
            raise UserError(
                f"compute.cluster: {who} has {name} {theirs[name]}, this process {version}; start "
                "it anew in the same environment"
            )


def _explained(error: BaseException) -> BaseException:
    """What Dask fails by, as one line; what a function raises, as it is."""
    if isinstance(error, KilledWorker):
        reason = "workers were ended again and again, perhaps for want of memory; see their logs"
    elif isinstance(error, CancelledError):
        reason = "the connection to the scheduler was lost; run it again"
    elif isinstance(error.__cause__ or error, ImportError):
        reason = f"{error.__cause__ or error} there; start all of it in the project's environment"
    else:
        return error
    return UserError(f"compute.cluster: {reason}")


def _without_workers() -> UserError:
    return UserError(
        f"compute.cluster: no worker was there for {WORKERS_S:.0f} s; start `dask worker`s"
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
