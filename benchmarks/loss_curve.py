"""Whether the losses of 100 steps on fixed data are those of the committed curve."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
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
STEPS, EVERY, BATCHES = 100, 5, 4
TOLERANCE = 1e-3
"""Processors differ in the last bits, which grow over the steps."""

Curves = dict[str, list[float]]
"""Values after every fifth step, by "MODEL/TERM"."""


def run(options: Options) -> None:
    """Raises UserError where the losses have moved."""
    found = curves(20 if options.quick else STEPS)
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
        "schedule": {"name": "cosine", "warmup_steps": 10},
        "ema_decay": 0.9,
        "clip_gradient_norm": 20.0,
        "precision": "float32",
    }
    terms = {"perceptual": 1.0, "identity": 1.0, "identity_network": "given"}
    return recipes.tiny(train_sparnet=shared, train_sparnethd=shared | {"losses": terms})


def curves(count: int, params: config.Params | None = None) -> Curves:
    """The terms of the first `count` steps of both models, one thread, float32."""
    device = torch.device("cpu")
    hardware.prepare(device, machine.THREADS)
    params = params or parameters()
    result: Curves = {}
    for settings in (params.train_sparnet, params.train_sparnethd):
        for step, terms in enumerate(_terms(settings, count, steps.placement(settings, device))):
            if (step + 1) % EVERY == 0:
                for name, value in terms.items():
                    result.setdefault(f"{settings.network.name}/{name}", []).append(value)
    return result


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


def _terms(settings: Settings, count: int, where: Placement) -> Iterator[dict[str, float]]:
    """Every step's terms, and the pixel loss of what would ship after each fifth."""
    nets = steps.networks(settings, recipes.TINY_SIZE)
    if nets.discriminator is not None:
        nets = replace(nets, perceptual=_Halved(), identity=_coarse())
    trained = steps.objective(nets, settings, where)
    batches = [_batch(seed, where) for seed in range(BATCHES)]
    for step in range(count):
        batch = batches[step % BATCHES]
        share = schedule.share(settings.schedule, step, STEPS)
        terms = {name: value.item() for name, value in trained.step(batch, share).items()}
        if (step + 1) % EVERY == 0:
            with torch.no_grad():
                terms["shipped"] = losses.pixel(trained.shipped()(batch.lr), batch.hr).item()
        yield terms


def _batch(seed: int, where: Placement) -> Batch:
    """Smooth patterns, and the same ones blurred."""
    random = torch.Generator().manual_seed(seed)
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
