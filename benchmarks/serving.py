"""Serving: one face at a time by the bare network, through TorchServe, and through the gateway."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path

from benchmarks import load, recipes, served
from benchmarks.load import Ask, Connect, Load
from benchmarks.options import Options
from benchmarks.served import Served
from serving.archive import Archive
from sparnet import images
from sparnet.config import Package
from sparnet.data.renderer import render
from sparnet.images import Picture
from sparnet.inference import Restorer
from sparnet.inference.backends import Backend, TorchBackend
from sparnet.inference.openvino import OpenVinoBackend
from sparnet.models import checkpoint

NETWORKS = ("sparnet", "sparnet-light-attn3d")
LARGE = ("sparnethd",)
MILLISECONDS = {**recipes.TINY_NETWORK, "size": 128, "min_feature_size": 64}
"""A network whose own time varies by less than what serving adds to it."""

CLIENTS = (1, 2, 4, 8, 16, 32)
BATCH_SIZES = (1, 2, 4, 8)
BATCHING_CLIENTS = 16
SECONDS = 10.0
"""For one number of clients and one way in; longer where answers take long."""

_QUICK_SECONDS = 0.3
_LARGE_FACTOR = 4


def run(options: Options) -> None:
    """A tiny network, then those of the published sizes, all with fresh weights; `quick` shrinks
    networks, loads and times.

    The large one takes long on a CPU, so only `full` includes it.
    """
    changes = {"size": recipes.TINY_SIZE, **recipes.TINY_NETWORK} if options.quick else {}
    seconds = _QUICK_SECONDS if options.quick else SECONDS
    clients = CLIENTS[:2] if options.quick else CLIENTS
    if not options.quick:
        _compare(NETWORKS[0], MILLISECONDS, CLIENTS[:1], seconds)
    for network in NETWORKS[:1] if options.quick else NETWORKS:
        _compare(network, changes, clients, seconds)
        _batching(network, changes, BATCH_SIZES[:1] if options.quick else BATCH_SIZES, seconds)
    if options.full and not options.quick:
        for network in LARGE:
            _compare(network, changes, clients[:3], seconds * _LARGE_FACTOR)


def _compare(
    network: str, changes: dict[str, int], clients: tuple[int, ...], seconds: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = served.packaged(network, Package(), Path(folder), **changes)
        backend = _backend(Path(folder), packed)
        face = render(0, 0, 0, backend.size).image
        body = images.encode_png(face)
        print(f"{network}, {backend.size}, {backend.runtime}, batches of 1")
        with served.running(packed) as server:
            ways: dict[str, Connect] = {
                "bare": partial(_bare, Restorer(backend), face),
                "TorchServe": server.torchserve(body),
                "gateway": server.gateway("faces", body),
            }
            loads = _table(ways, clients, seconds)
            _parts(server, ways["gateway"], seconds)
    _ratios(loads)


def _bare(restorer: Restorer, face: Picture) -> Ask:
    def ask() -> int:
        restorer(face, aligned=True)
        return int(HTTPStatus.OK)

    return ask


def _backend(folder: Path, packed: Archive) -> Backend:
    """What the worker runs."""
    network = checkpoint.load(folder / packed.settings.handler.weights)
    if packed.settings.handler.graph is None:
        return TorchBackend(network, "cpu")
    return OpenVinoBackend.of(network, threads=packed.settings.handler.threads)


def _table(
    ways: Mapping[str, Connect], clients: tuple[int, ...], seconds: float
) -> dict[tuple[str, int], Load]:
    print("clients  way            p50      p95      p99 ms   answers/s  asking")
    loads: dict[tuple[str, int], Load] = {}
    for count in clients:
        measured = (
            load.in_turn(ways, seconds)
            if count == 1
            else {name: load.measured(way, count, seconds) for name, way in ways.items()}
        )
        for name, found in measured.items():
            loads[name, count] = found
            print(f"{count:7}  {name:10} {_line(found, with_asking=name != 'bare')}", flush=True)
    return loads


def _line(found: Load, with_asking: bool) -> str:
    """`asking`: what the clients themselves took of a core, which the server did not get."""
    times = " ".join(f"{found.percentile(share):8.1f}" for share in (50, 95, 99))
    asking = f"{found.processor_seconds / found.seconds:8.1%}" if with_asking else ""
    failed = {status: count for status, count in found.statuses.items() if status != HTTPStatus.OK}
    return f"{times}    {found.rate:9.2f} {asking}" + (f"  failed: {failed}" if failed else "")


def _ratios(loads: Mapping[tuple[str, int], Load]) -> None:
    for name in ("TorchServe", "gateway"):
        more = loads[name, 1].percentile(50) - loads["bare", 1].percentile(50)
        most, bare = (
            max(found.rate for (way, _), found in loads.items() if way == wanted)
            for wanted in (name, "bare")
        )
        print(f"{name}: p50 of one client {more:+.1f} ms, at saturation {most / bare:.0%} of bare")


def _parts(server: Served, way: Connect, seconds: float) -> None:
    """What each process takes; its time of a processor bears a busy machine, unlike answers."""
    before = server.processor_seconds()
    answers = len(load.measured(way, 1, seconds).times) + 1  # the first is not counted there
    after = server.processor_seconds()
    for part, size in sorted(server.resident().items()):
        took = (after[part] - before[part]) / answers * 1e3
        print(f"{part:10}  {size / 1e6:4.0f} MB, {took:6.1f} ms of a processor for an answer")


def _batching(
    network: str, changes: dict[str, int], sizes: tuple[int, ...], seconds: float
) -> None:
    """What larger batches bring at saturation, to choose `package.batch_size` by."""
    print(f"{network}, {BATCHING_CLIENTS} clients of the gateway, by batch size")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            packed = served.packaged(network, Package(batch_size=size), Path(folder), **changes)
            with served.running(packed) as server:
                body = images.encode_png(render(0, 0, 0, changes.get("size", 128)).image)
                way = server.gateway("faces", body)
                found = load.measured(way, BATCHING_CLIENTS, seconds)
        print(f"batch {size}:  {_line(found, with_asking=True)}", flush=True)
