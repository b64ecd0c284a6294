"""A face through a network, one at a time: PyTorch in float32 against OpenVINO, on the CPU."""

from __future__ import annotations

import statistics
from functools import partial

import torch

from benchmarks import machine, recipes
from benchmarks.options import Options
from benchmarks.timing import interleaved, ratio
from sparnet import models
from sparnet.data.renderer import render
from sparnet.inference.backends import Backend, TorchBackend
from sparnet.inference.openvino import OpenVinoBackend

NETWORKS = ("sparnet", "sparnet-light-attn3d")
LARGE = ("sparnethd",)


def run(options: Options) -> None:
    """At the published sizes, with fresh weights; `quick` shrinks networks and pictures.

    The large ones take minutes where there is no bf16, so only `full` and `quick` include them.
    """
    changes = {"size": recipes.TINY_SIZE, **recipes.TINY_NETWORK} if options.quick else {}
    large = options.quick or options.full
    for name in NETWORKS + (LARGE if large else ()):
        _compare(name, changes)


def _compare(name: str, changes: dict[str, int]) -> None:
    torch.manual_seed(0)
    network = models.create(name, **changes).eval()
    face = render(0, 0, 0, network.config.size).image[None]
    backends: list[Backend] = [
        TorchBackend(network, "cpu"),
        OpenVinoBackend.of(network, threads=machine.THREADS),
    ]
    eager, exported = (backend.runtime for backend in backends)
    works = {backend.runtime: partial(backend, face) for backend in backends}
    times = interleaved(works, torch.device("cpu"))
    medians = ", ".join(f"{key} {statistics.median(times[key]) * 1e3:.0f} ms" for key in works)
    print(f"{name}, {face.shape[1]}: {medians}, {ratio(times, eager, exported):.2f}x", flush=True)
