"""Whether the losses of 100 steps on fixed data are those of the committed curve.

What processors differ by in the last bits grows tenfold every five adversarial steps. So the steps
are in double precision and of several short trainings, where a change of the code stands out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import machine, recipes, steps
from benchmarks.options import Options
from benchmarks.steps import Settings
from sparnet import config, files
from sparnet.errors import UserError
from sparnet.training import hardware, losses, schedule
from sparnet.training.placement import Batch, Placement

COMMITTED = Path(__file__).with_name("loss_curve.json")
STARTS, STEPS, EVERY, BATCHES = 4, 25, 5, 4
TOLERANCE = 1e-4

Curves = dict[str, list[float]]
"""Values after every fifth step of one training after the other, by "MODEL/TERM"."""


def run(options: Options) -> None:
    """Raises UserError where the losses have moved."""
    found = curves(1 if options.quick else STARTS)
    if options.update:
        files.write_json(COMMITTED, found)
        print(f"written: {COMMITTED}")
        return
    largest, term = deviation(found, json.loads(COMMITTED.read_text()))
    print(f"largest deviation: {largest:.1e} of {term} (tolerance {TOLERANCE:.0e})")
    if not largest <= TOLERANCE:
        raise UserError(
            f"the losses have moved ({term}): if that is meant, run "
            "`python -m benchmarks loss_curve --update` and say so in the commit"
        )


def parameters(lr: float = 1e-3) -> config.Params:
    """Tiny networks with every loss term, an average, a schedule and a clipped gradient."""
    shared = {
        "optimizer": {"lr": lr},
        "schedule": {"name": "cosine", "warmup_steps": 5},
        "ema_decay": 0.9,
        "clip_gradient_norm": 20.0,
        "precision": "float32",
    }
    terms = {"perceptual": 1.0, "identity": 1.0, "identity_network": "given"}
    return recipes.tiny(train_sparnet=shared, train_sparnethd=shared | {"losses": terms})


def curves(starts: int, params: config.Params | None = None) -> Curves:
    """The terms of both models from the first `starts` different weights, in one thread."""
    device = torch.device("cpu")
    hardware.prepare(device, machine.THREADS)
    params = params or parameters()
    result: Curves = {}
    with _double_precision():
        for settings in (params.train_sparnet, params.train_sparnethd):
            where = steps.placement(settings, device)
            for terms in chain(*(_terms(settings, seed, where) for seed in range(starts))):
                for name, value in terms.items():
                    result.setdefault(f"{settings.network.name}/{name}", []).append(value)
    return result


@contextmanager
def _double_precision() -> Iterator[None]:
    """Within, new tensors are float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def deviation(found: Curves, committed: Curves) -> tuple[float, str]:
    """The largest difference over a term's mean magnitude, and that term.

    Curves are compared as far as `found` goes; other terms than the committed ones are infinitely
    far away.
    """
    if found.keys() != committed.keys():
        return math.inf, ", ".join(sorted(found.keys() ^ committed.keys()))
    return max((_apart(values, committed[term]), term) for term, values in found.items())


def _apart(found: list[float], committed: list[float]) -> float:
    expected = np.array(committed[: len(found)])
    difference = np.abs(np.array(found) - expected).max() / np.abs(expected).mean()
    return math.inf if np.isnan(difference) else float(difference)


def _terms(settings: Settings, seed: int, where: Placement) -> Iterator[dict[str, float]]:
    """The terms of every fifth step, and the pixel loss of what would ship after it."""
    nets = steps.networks(settings, recipes.TINY_SIZE, seed)
    if nets.discriminator is not None:
        nets = replace(nets, perceptual=_Halved(), identity=_coarse())
    trained = steps.objective(nets, settings, where)
    batches = [_batch(number, where) for number in range(BATCHES)]
    for step in range(STEPS):
        batch = batches[step % BATCHES]
        terms = trained.step(batch, schedule.share(settings.schedule, step, STEPS))
        if (step + 1) % EVERY == 0:
            with torch.no_grad():
                shipped = losses.pixel(trained.shipped()(batch.lr), batch.hr)
            yield {name: value.item() for name, value in (terms | {"shipped": shipped}).items()}


def _batch(number: int, where: Placement) -> Batch:
    """Smooth patterns, and the same ones blurred."""
    random = torch.Generator().manual_seed(number)
    coarse = torch.rand(2, 3, 8, 8, generator=random) * 2 - 1
    hr = F.interpolate(coarse, size=recipes.TINY_SIZE, mode="bilinear")
    lr = F.interpolate(F.avg_pool2d(hr, 8), size=recipes.TINY_SIZE, mode="bilinear")
    return where.batch(lr, hr)


class _Halved(nn.Module):
    """Stands for the perceptual features: the picture and its half."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, F.avg_pool2d(x, 2)]


def _coarse() -> nn.Module:
    """Stands for the identity network: 4x4 means."""
    return nn.Sequential(nn.AvgPool2d(recipes.TINY_SIZE // 4), nn.Flatten())
