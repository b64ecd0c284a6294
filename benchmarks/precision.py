"""Whether training in bf16 ends as well as in float32: PSNR after as many equal steps of both.

A CPU without bf16 computes it too, several times slower than float32: what counts is the result.
"""

from __future__ import annotations

import statistics

from benchmarks import recipes, trainings
from benchmarks.options import Options
from benchmarks.trainings import Faces
from sparnet.models.devices import Precision

NETWORKS = ("sparnet", "sparnet-light-attn3d")
SEEDS = (0, 1, 2)
PEOPLE = 400
PICTURES = 96
"""In the validation, many so that single faces do not decide."""

HELD_OUT = {"val": 0.25, "test": 0.1}
PRECISIONS: tuple[Precision, Precision] = ("float32", "bf16")


def run(options: Options) -> None:
    """The quick start's training, whose networks a CPU can train. The seeds, which draw faces and
    batches, show what PSNR does whatever the precision."""
    quick = options.quick
    for network in NETWORKS[:1] if quick else NETWORKS:
        differences = []
        for seed in SEEDS[:1] if quick else SEEDS:
            full, half = _psnrs(network, seed, quick)
            differences.append(half - full)
            print(f"{network}, seed {seed}: float32 {full:.3f} dB, bf16 {half:.3f} dB", flush=True)
        print(f"{network}: bf16 is better by {statistics.mean(differences):+.3f} dB")


def _psnrs(network: str, seed: int, quick: bool) -> list[float]:
    """In float32 and in bf16."""
    changes = {
        "seed": seed,
        "prepare": HELD_OUT,
        "train_sparnet": {"network": {"name": network}, "validation_pictures": PICTURES},
    }
    params = recipes.tiny(**changes) if quick else recipes.parameters("quick", **changes)
    people, side = (24, 64) if quick else (PEOPLE, 128)
    with trainings.faces(params, people, side, workers=0 if quick else 1) as data:
        return [_psnr(data, precision, quick) for precision in PRECISIONS]


def _psnr(data: Faces, precision: Precision, quick: bool) -> float:
    """Of the last validation, in dB."""
    settings = data.params.train_sparnet.model_copy(update={"precision": precision})
    params = data.params.model_copy(update={"train_sparnet": settings})
    steps = 4 if quick else settings.steps
    assert steps is not None
    trained = trainings.run(Faces(data.root, params), "sparnet", steps, 0, lambda stream: stream)
    return float(trained.history.rows[-1]["val/psnr"])
