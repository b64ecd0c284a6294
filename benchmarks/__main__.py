"""Speed of the parts, on one thread, as medians of five: `make bench`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import torch

from sparnet import config, images, models
from sparnet.data import degradation
from sparnet.data.renderer import render
from sparnet.inference.backends import TorchBackend

ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """Median wall time of `work`, after a first call that is not counted."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def renderer() -> None:
    for size in (128, 512):
        people = count()
        took = seconds(partial(_render_ten, people, size))
        print(f"render, {size}: {10 / took:.1f} faces/s")


def _render_ten(people: Iterator[int], size: int) -> None:
    for _ in range(10):
        render(0, next(people), 0, size)


def degradations() -> None:
    for size in (128, 512):
        face = render(0, 0, 0, size).image
        for preset in ("bicubic_x8", "gfpgan", "codeformer", "wide", "sparnet_paper"):
            records = [degradation.draw(preset, 0, f"face{index}", 0) for index in range(20)]
            took = seconds(partial(_degrade_all, face, records))
            print(f"degrade, {preset}, {size}: {took / len(records) * 1e3:.1f} ms")


def _degrade_all(face: images.Picture, records: list[degradation.Record]) -> None:
    for record in records:
        degradation.apply(face, record)


def training() -> None:
    params = config.load()
    for settings, size in (
        (params.train_sparnet, params.prepare.sizes.sparnet),
        (params.train_sparnethd, params.prepare.sizes.sparnethd),
    ):
        torch.manual_seed(0)
        network = models.create(settings.network.name, size=size, **settings.network.overrides())
        x_nchw = torch.rand(settings.batch_size, 3, size, size)
        rate = settings.batch_size / seconds(partial(_train_step, network.train(), x_nchw))
        print(f"train, {settings.network.name} of params.yaml: {rate:.1f} images/s")


def _train_step(network: torch.nn.Module, x_nchw: torch.Tensor) -> None:
    (network(x_nchw) - x_nchw).abs().mean().backward()


def inference() -> None:
    face = render(0, 0, 0, 128).image[None]
    for name in ("sparnet", "sparnet-light-attn3d"):
        backend = TorchBackend(models.create(name), device="cpu")
        print(f"restore, {name}: {seconds(partial(backend, face)) * 1e3:.0f} ms a face")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in (renderer, degradations, training, inference):
        part()
