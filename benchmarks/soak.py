"""Whether a server that is asked for long keeps its memory and fails in nothing."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks import recipes, served
from benchmarks.load import Ask
from benchmarks.options import Options
from benchmarks.served import Served
from sparnet import images
from sparnet.config import Package
from sparnet.data.renderer import render

RATE = 2.0
"""Requests a second, so that a small machine is at work for a part of the time only."""

SETTLED = 0.25
"""Share of the time after which memory has reached its level."""

_QUICK_MINUTES = 0.05
_EXPECTED = {
    "face": 200,
    "face as JSON": 200,
    "photograph": 200,
    "no face": 422,
    "no picture": 415,
    "cut off": 422,
}


def run(options: Options) -> None:
    """A tiny network: what is tried is what goes around it."""
    minutes = _QUICK_MINUTES if options.quick else options.minutes
    changes = {"size": recipes.TINY_SIZE, **recipes.TINY_NETWORK}
    with tempfile.TemporaryDirectory() as folder:
        packed = served.packaged("sparnet", Package(), Path(folder), **changes)
        with served.running(packed) as server:
            _soak(server, minutes * 60)


def _soak(server: Served, seconds: float) -> None:
    kinds = _kinds(server)
    for ask in kinds.values():
        ask()
    wrong: Counter[tuple[str, int]] = Counter()
    times, start = [], time.monotonic()
    moments, resident = [], []
    for number, name in enumerate(itertools.cycle(kinds)):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        begun = time.monotonic()
        if begun > start + seconds:
            break
        status = kinds[name]()
        times.append(time.monotonic() - begun)
        wrong[name, status] += status != _EXPECTED[name]
        moments.append(begun - start)
        resident.append(server.resident())
    failed = {f"{name}: {status}": count for (name, status), count in wrong.items() if count}
    print(
        f"{len(times)} requests in {moments[-1] / 60:.1f} min, "
        f"p50 {statistics.median(times) * 1e3:.0f} ms, errors: {failed or 0}"
    )
    for part in sorted(resident[0]):
        _tell(part, moments, [item[part] for item in resident])
    _tell("all", moments, [item.total() for item in resident])


def _tell(part: str, moments: list[float], resident: list[int]) -> None:
    """The level, and the line through what follows the settling."""
    first = int(SETTLED * len(resident))
    level = statistics.median(resident[first:])
    slope = np.polyfit(moments[first:], resident[first:], 1)[0] * 600 if len(moments) > 8 else 0.0
    print(f"memory of {part}: {level / 1e6:.0f} MB, {slope / level:+.2%} in 10 min", flush=True)


def _kinds(server: Served) -> dict[str, Ask]:
    photo = render(0, 0, 0, 256).image
    face = images.encode_png(images.resize(photo, (64, 64)))
    grey = images.encode_png(np.full((120, 120, 3), 90, np.uint8))
    sent = {
        "face": ("faces", face),
        "face as JSON": ("faces?match_colour=true", face, "application/json"),
        "photograph": ("enhance", images.encode_png(photo)),
        "no face": ("enhance", grey),
        "no picture": ("enhance", b"no picture"),
        "cut off": ("enhance", face[:-300]),
    }
    return {name: server.gateway(*what)() for name, what in sent.items()}
