"""The preparation of pictures: how many a core, and how time and memory grow with their number."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks import recipes
from benchmarks.options import Options
from sparnet import config
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.data.preparation import prepare

KINDS: Mapping[str, dict[str, Any]] = {
    "whole": {"faces": None},
    "faces found": {"faces": {"detector": "hog"}, "near_duplicates": 8},
}
"""What the pictures are taken for: faces already, or photographs with faces to be found. Drawn
people are more alike than real ones, so the limit of copies is tight: nearly all are kept."""
SIZE = 128
PICTURES_OF_A_PERSON = 2
WORKERS = 2
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Run:
    """`peak`: most resident bytes, over this process and its workers."""

    pictures: int
    seconds: float
    peak: int

    @property
    def seconds_each(self) -> float:
        return self.seconds / self.pictures


def run(options: Options) -> None:
    """Rendered faces through the real stage; `full` finds thousands of faces, which takes long."""
    some, few, many = (12, 12, 24) if options.quick else (200, 1000, 10_000)
    with TemporaryDirectory() as folder:
        raw = {count: _rendered(Path(folder), count) for count in sorted({some, few, many})}
        for kind in KINDS:
            _prepared(raw[some], kind, some, workers=0)  # loads the models
            rate = 1 / _prepared(raw[some], kind, some, workers=0).seconds_each
            print(f"prepare, {kind}, {SIZE}: {rate:.1f} pictures/s a core", flush=True)
        for kind in KINDS if options.full else ("whole",):
            _prepared(raw[some], kind, some, WORKERS)  # starts the workers
            _compare(kind, *(_prepared(raw[count], kind, count, WORKERS) for count in (few, many)))


def _compare(kind: str, few: Run, many: Run) -> None:
    print(
        f"prepare, {kind}, {few.pictures} to {many.pictures} pictures, {WORKERS} workers: "
        f"time a picture x{many.seconds_each / few.seconds_each:.2f}, "
        f"memory {few.peak / 1e6:.0f} to {many.peak / 1e6:.0f} MB",
        flush=True,
    )


def _rendered(folder: Path, count: int) -> Path:
    """A folder like data/raw, of so many rendered faces."""
    block = config.SyntheticSource(
        people=count // PICTURES_OF_A_PERSON, pictures_per_person=PICTURES_OF_A_PERSON, size=SIZE
    )
    settings = _parameters("whole").download.model_copy(update={"synthetic": block})
    raw = folder / f"raw-{count}"
    with redirect_stderr(io.StringIO()):
        source = sources.create(settings, 0, WORKERS)
        download(source, raw, settings.shard_size)
    return raw


def _prepared(raw: Path, kind: str, count: int, workers: int) -> Run:
    """The stage's work, with nothing kept from an earlier run."""
    settings = _parameters(kind).prepare
    with TemporaryDirectory() as folder, redirect_stderr(io.StringIO()), _watched() as peak:
        start = time.perf_counter()
        prepare(raw, Path(folder) / "prepared", settings, 0, workers, Path(folder) / "state")
        return Run(count, time.perf_counter() - start, max(peak))


def _parameters(kind: str) -> config.Params:
    return recipes.parameters("quick", prepare={"val": 0.25, "test": 0.25, **KINDS[kind]})


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Resident bytes of this process and its children, now and then until the end."""
    seen = [_resident()]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            seen.append(_resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _resident() -> int:
    process = psutil.Process()
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return total
