"""Twenty steps in float64, for one process or for torchrun's; the leader writes what happened.

python two_processes.py MODEL OUT
"""

from __future__ import annotations

import json
import os
import sys
from itertools import islice
from pathlib import Path

import torch

from sparnet.config import Params, load
from sparnet.data.pairs import EpochSampler
from sparnet.models import create
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.training.distributed import Launch, World, joined
from sparnet.training.hd_objective import SparnetHdObjective
from sparnet.training.objectives import Objective, SparnetObjective
from sparnet.training.placement import Batch, Placement

PICTURES = 13
BATCH = 4
STEPS = 20


def objective(model: str, params: Params, world: World) -> Objective:
    torch.manual_seed(0)
    where = Placement(torch.device("cpu"), world=world)
    settings = params.train_sparnet if model == "sparnet" else params.train_sparnethd
    overrides = settings.network.overrides() | {"norm": "instance"}
    generator = create(settings.network.name, size=32, **overrides).double()
    if model == "sparnet":
        return SparnetObjective(generator, params.train_sparnet, where)
    fields = params.train_sparnethd.discriminator.model_dump()
    discriminator = MultiScaleDiscriminator(**fields).double()
    return SparnetHdObjective(generator, discriminator, params.train_sparnethd, where)


def main(model: str, out: Path) -> None:
    torch.set_num_threads(1)
    with joined(Launch.read(os.environ), torch.device("cpu")) as world:
        trained = objective(model, load(), world)
        share = BATCH // world.size
        keys = iter(EpochSampler(PICTURES, share, 0, rank=world.rank, world_size=world.size))
        pictures = torch.rand(
            PICTURES, 2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        rows, taken = [], []
        for _ in range(STEPS):
            own = list(islice(keys, share))
            chosen = pictures[[index for index, _ in own]] * 2 - 1
            terms = trained.step(Batch(chosen[:, 0], chosen[:, 1]), 1.0)
            mean = world.mean(torch.stack(list(terms.values()))).tolist()
            rows.append(dict(zip(terms, mean, strict=True)))
            taken.append(own)
        out.with_suffix(f".{world.rank}.json").write_text(json.dumps({"rows": rows, "keys": taken}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
