"""Renderer, degradations and inference, on one thread of the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

from benchmarks.options import Options
from benchmarks.timing import median_seconds
from sparnet import images, models
from sparnet.data import degradation
from sparnet.data.renderer import render
from sparnet.inference.backends import TorchBackend

PRESETS = ("bicubic_x8", "gfpgan", "codeformer", "wide", "sparnet_paper")


def run(options: Options) -> None:
    for size in (64,) if options.quick else (128, 512):
        _renderer(size, 1 if options.quick else 10)
    for size in (64,) if options.quick else (128, 512):
        _degradations(size, 1 if options.quick else 20)
    for name in ("sparnet-light-attn3d",) if options.quick else ("sparnet", "sparnet-light-attn3d"):
        _inference(name)


def _renderer(size: int, faces: int) -> None:
    took = median_seconds(partial(_render, count(), faces, size))
    print(f"render, {size}: {faces / took:.1f} faces/s")


def _render(people: Iterator[int], faces: int, size: int) -> None:
    for _ in range(faces):
        render(0, next(people), 0, size)


def _degradations(size: int, draws: int) -> None:
    face = render(0, 0, 0, size).image
    for preset in PRESETS:
        records = [degradation.draw(preset, 0, f"face{index}", 0) for index in range(draws)]
        took = median_seconds(partial(_degrade, face, records))
        print(f"degrade, {preset}, {size}: {took / draws * 1e3:.1f} ms")


def _degrade(face: images.Picture, records: list[degradation.Record]) -> None:
    for record in records:
        degradation.apply(face, record)


def _inference(name: str) -> None:
    face = render(0, 0, 0, 128).image[None]
    backend = TorchBackend(models.create(name), device="cpu")
    print(f"restore, {name}: {median_seconds(partial(backend, face)) * 1e3:.0f} ms a face")
