"""Images a second of one training step: the plain loop against this project's."""

from __future__ import annotations

import statistics
from functools import partial

import torch
from torch import Tensor

from benchmarks import machine, recipes, steps
from benchmarks.options import Options
from benchmarks.plain import the_long_way
from benchmarks.steps import Settings, Step
from benchmarks.timing import Times, Work, interleaved, ratio
from sparnet import models
from sparnet.training import hardware

CHEAP = ("sparnet", "sparnet-light-attn3d")
QUICK = ("sparnet", "sparnethd")
BATCH_SIZES = {"sparnet": 8, "sparnethd": 2}


def run(options: Options) -> None:
    """All five networks with `full` or on a GPU; else two that a CPU trains within a minute."""
    everything = options.full or options.device.type != "cpu"
    for name in QUICK if options.quick else models.names() if everything else CHEAP:
        settings, size = recipes.published(name, quick=options.quick)
        count = 2 if options.quick else BATCH_SIZES[name.split("-")[0]]
        times = interleaved(_variants(settings, size, count, options), options.device)
        print(f"train, {name}, {count} pictures of {size}: {_line(times, count)}")


def _variants(settings: Settings, size: int, count: int, options: Options) -> dict[str, Work]:
    device = options.device
    lr, hr = (torch.rand(count, 3, size, size, device=device) * 2 - 1 for _ in range(2))
    nets = steps.networks(settings, size)
    for part in nets.parts():
        part.to(device)
    variants: dict[str, Work] = {
        "plain": partial(_plainly, steps.plain(nets, settings), lr, hr),
        "ours": partial(_as_in_a_job, _ours(settings, size, device), lr, hr),
    }
    if options.compile:
        compiled = settings.model_copy(update={"compile": True})
        variants["compiled"] = partial(_as_in_a_job, _ours(compiled, size, device), lr, hr)
    return variants


def _ours(settings: Settings, size: int, device: torch.device) -> Step:
    return steps.ours(steps.networks(settings, size), settings, steps.placement(settings, device))


def _plainly(step: Step, lr: Tensor, hr: Tensor) -> None:
    torch.set_deterministic_debug_mode("default")
    with the_long_way():
        step(lr, hr)


def _as_in_a_job(step: Step, lr: Tensor, hr: Tensor) -> None:
    """Within the settings of a training, whose repeatability has its price."""
    hardware.prepare(lr.device, machine.THREADS)
    step(lr, hr)


def _line(times: Times, count: int) -> str:
    rates = [f"{name} {count / statistics.median(took):.2f}" for name, took in times.items()]
    ratios = [f"{name} {ratio(times, 'plain', name):.2f}x" for name in times if name != "plain"]
    return f"{', '.join(rates)} images/s ({', '.join(ratios)})"
