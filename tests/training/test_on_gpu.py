"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from sparnet import config
from sparnet.models import create, devices, names
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.training import hardware
from sparnet.training.hd_objective import SparnetHdObjective
from sparnet.training.objectives import Objective, SparnetObjective
from sparnet.training.placement import Placement

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def objective(name: str, params: config.Params, where: Placement, **changes: object) -> Objective:
    torch.manual_seed(0)
    if not name.startswith("sparnethd"):
        settings = params.train_sparnet.model_copy(update=changes)
        return SparnetObjective(create(name), settings, where)
    hd = params.train_sparnethd.model_copy(update={"recompute": True, **changes})
    generator = create(name)
    generator.checkpointing = True
    return SparnetHdObjective(generator, MultiScaleDiscriminator(), hd, where)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", names())
def test_every_network_trains_in_half_precision(
    name: str, compiled: bool, params: config.Params
) -> None:
    device = torch.device("cuda")
    hardware.prepare(device, 1)
    norm = "instance" if name.startswith("sparnethd") else "batch"
    where = Placement(device, devices.autocast_type("auto", device), hardware.layout(device, norm))
    trained = objective(name, params, where, compile=compiled)
    side = 512 if name.startswith("sparnethd") else 128
    pictures = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = where.batch(pictures * 0.5, pictures)
    first = trained.step(batch, 1.0)["pixel"].item()
    for _ in range(10):
        terms = trained.step(batch, 1.0)
    assert all(term.isfinite() for term in terms.values())
    assert terms["pixel"].item() < first


def test_a_gpu_follows_the_cpu(params: config.Params) -> None:
    pictures = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    seen = []
    for device in ("cpu", "cuda"):
        where = Placement(torch.device(device))
        trained = objective("sparnet", params, where)
        batch = where.batch(pictures * 0.5, pictures)
        seen.append([trained.step(batch, 0.1)["pixel"].item() for _ in range(3)])
    assert seen[1] == pytest.approx(seen[0], rel=1e-2)
