"""Peak memory of one SPARNetHD step at its published size: the plain loop against this project's.

Counted with fake tensors, which needs neither the memory nor the time; on CUDA measured too.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial

import torch

from benchmarks import fakes, recipes, steps
from benchmarks.options import Options
from benchmarks.steps import Networks, Settings, Step
from sparnet.training.placement import Placement

BATCH_SIZE = 2
STEPS = 2
"""Adam's state is made at the end of the first; the peak is that of the second."""

Build = Callable[[Networks, Settings, Placement], Step]


VARIANTS = [("float32", False), ("float32", True), ("bf16", False), ("bf16", True)]
"""Precision, and whether activations are computed twice."""


def run(options: Options) -> None:
    """`quick` counts the last variant alone."""
    settings, size = recipes.published("sparnethd", quick=options.quick)
    variants = VARIANTS[-1:] if options.quick else VARIANTS
    print(f"memory of a step, sparnethd, {BATCH_SIZE} pictures of {size}")
    _compare("counted", partial(_counted, size, 1 if options.quick else STEPS), settings, variants)
    if options.device.type == "cuda":
        _compare("measured", partial(_measured, size, options.device), settings, variants)


def _compare(
    how: str,
    peak: Callable[[Build, Settings], int],
    settings: Settings,
    variants: Sequence[tuple[str, bool]],
) -> None:
    """Print the peaks by `peak`, each with its ratio to that of the plain loop."""
    plain = peak(_plain, settings)
    print(f"  {how}, plain: {plain / 1e9:.3g} GB")
    for precision, recompute in variants:
        changes = {"precision": precision, "recompute": recompute}
        ours = peak(steps.ours, settings.model_copy(update=changes))
        label = f"ours, {precision}{', recompute' if recompute else ''}"
        print(f"  {how}, {label}: {ours / 1e9:.3g} GB ({plain / ours:.1f}x less)")


def _plain(nets: Networks, settings: Settings, _: Placement) -> Step:
    return steps.plain(nets, settings)


def _counted(size: int, count: int, build: Build, settings: Settings) -> int:
    """Peak bytes of the tensors alive in step number `count`, by the rules of autocast on a CPU."""
    # Iterations on the spectra change no peak, and there is nothing to iterate on.
    settings = settings.model_copy(update={"spectral_warm_up": 0})
    with torch.device("meta"):
        nets = steps.networks(settings, size)
    where = steps.placement(settings, torch.device("cpu"))
    fake = fakes.FakePlacement(where.device, where.autocast, where.layout)
    with fakes.counting() as live:
        for part in nets.parts():
            fakes.materialise(part)
        step = build(nets, settings, fake)
        lr, hr = (torch.rand(BATCH_SIZE, 3, size, size) for _ in range(2))
        for _ in range(count):
            live.peak = live.now
            step(lr, hr)
    return live.peak


def _measured(size: int, device: torch.device, build: Build, settings: Settings) -> int:
    """Peak bytes that CUDA's allocator handed out in one step."""
    nets = steps.networks(settings, size)
    for part in nets.parts():
        part.to(device)
    step = build(nets, settings, steps.placement(settings, device))
    lr, hr = (torch.rand(BATCH_SIZE, 3, size, size, device=device) for _ in range(2))
    for _ in range(STEPS):
        torch.cuda.reset_peak_memory_stats(device)
        step(lr, hr)
    peak = torch.cuda.max_memory_allocated(device)
    del step, nets
    gc.collect()
    torch.cuda.empty_cache()
    return peak
