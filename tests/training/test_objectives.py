from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from sparnet import config
from sparnet.models import create, spectral
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.training import hardware, losses
from sparnet.training.ema import Ema
from sparnet.training.hd_objective import SparnetHdObjective
from sparnet.training.objectives import SparnetObjective
from sparnet.training.placement import Batch, Placement

CPU = Placement(torch.device("cpu"))


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lr, hr = (torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    return CPU.batch(lr, hr)


def sparnet(settings: config.TrainSparnet) -> SparnetObjective:
    torch.manual_seed(0)
    generator = create(settings.network.name, size=32, **settings.network.overrides())
    return SparnetObjective(generator, settings, CPU)


def sparnethd(
    settings: config.TrainSparnetHd,
    perceptual: nn.Module | None = None,
    identity: nn.Module | None = None,
) -> SparnetHdObjective:
    torch.manual_seed(0)
    generator = create(settings.network.name, size=32, **settings.network.overrides())
    discriminator = MultiScaleDiscriminator(**settings.discriminator.model_dump())
    return SparnetHdObjective(generator, discriminator, settings, CPU, perceptual, identity)


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, 2 * x]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_sparnet_learns_a_batch_by_heart(params: config.Params) -> None:
    objective = sparnet(params.train_sparnet)
    losses_seen = [float(objective.step(batch(), 10.0)["pixel"]) for _ in range(8)]
    assert losses_seen[-1] < losses_seen[0] - 0.01


def test_the_schedule_scales_the_step(params: config.Params) -> None:
    objective = sparnet(params.train_sparnet)
    before = copy.deepcopy(dict(objective.generator.named_parameters()))
    objective.step(batch(), 0.0)
    assert same(before, dict(objective.generator.named_parameters()))


def test_the_gradient_is_clipped_to_its_norm(params: config.Params) -> None:
    settings = params.train_sparnet.model_copy(update={"clip_gradient_norm": 1e-3})
    objective = sparnet(settings)
    norm = objective.step(batch(), 1.0)["gradient_norm"]
    gradients = [p.grad for p in objective.generator.parameters() if p.grad is not None]
    assert norm > 1e-3
    assert nn.utils.get_total_norm(gradients).item() == pytest.approx(1e-3, rel=1e-3)


def test_sparnethd_reports_every_term_and_their_weighted_total(params: config.Params) -> None:
    objective = sparnethd(params.train_sparnethd)
    terms = objective.step(batch(), 1.0)
    assert terms.keys() == {
        *("pixel", "feature_matching", "adversarial", "total", "gradient_norm"),
        *("discriminator", "discriminator_gradient_norm"),
    }
    total = 100 * terms["pixel"] + 10 * terms["feature_matching"] + terms["adversarial"]
    assert terms["total"].item() == pytest.approx(total.item(), rel=1e-5)
    assert not any(term.requires_grad for term in terms.values())


def test_the_perceptual_term_counts_with_its_weight(params: config.Params) -> None:
    weights = params.train_sparnethd.losses.model_copy(update={"perceptual": 2.0})
    settings = params.train_sparnethd.model_copy(update={"losses": weights})
    terms = sparnethd(settings, Doubled()).step(batch(), 1.0)
    without = 100 * terms["pixel"] + 10 * terms["feature_matching"] + terms["adversarial"]
    total = without + 2 * terms["perceptual"]
    assert terms["total"].item() == pytest.approx(total.item(), rel=1e-5)
    assert terms["perceptual"].item() == pytest.approx(3 * terms["pixel"].item(), rel=1e-5)


def test_the_generators_step_leaves_no_gradient_in_the_discriminator(
    params: config.Params,
) -> None:
    objective = sparnethd(params.train_sparnethd)
    picture = batch()
    objective.step(picture, 1.0)
    gradients = [p.grad.clone() for p in objective.discriminator.parameters() if p.grad is not None]
    before = copy.deepcopy(objective.discriminator.state_dict())
    objective._update_generator(picture, [objective.generator(picture.lr)])
    after = [p.grad for p in objective.discriminator.parameters() if p.grad is not None]
    assert all(map(torch.equal, gradients, after))
    assert same(before, objective.discriminator.state_dict())
    assert all(p.requires_grad for p in objective.discriminator.parameters())


def test_the_discriminators_step_leaves_no_gradient_in_the_generator(
    params: config.Params,
) -> None:
    objective = sparnethd(params.train_sparnethd)
    picture = batch()
    objective._update_discriminator(picture, [objective.generator(picture.lr).detach()])
    assert all(p.grad is None for p in objective.generator.parameters())
    assert any(p.grad is not None for p in objective.discriminator.parameters())


def test_fakes_and_reals_are_judged_as_if_apart(params: config.Params) -> None:
    objective = sparnethd(params.train_sparnethd)
    picture = batch()
    with torch.no_grad(), spectral.paused(objective.discriminator):
        fake, real = objective._judge(picture.lr, picture.hr)
        together = losses.hinge(fake, real)
        apart = losses.hinge(
            objective.discriminator(picture.lr), objective.discriminator(picture.hr)
        )
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)


def test_the_spectra_are_warmed_up_before_the_first_step(params: config.Params) -> None:
    settings = params.train_sparnethd.model_copy(update={"spectral_warm_up": 50})
    torch.manual_seed(0)
    generator = create(settings.network.name, size=32, **settings.network.overrides())
    discriminator = MultiScaleDiscriminator(**settings.discriminator.model_dump())
    for network in (generator, discriminator):
        for name, buffer in network.named_buffers():
            if name.endswith("_u"):
                buffer.copy_(nn.functional.normalize(torch.randn(buffer.shape), dim=0))
    objective = SparnetHdObjective(generator, discriminator, settings, CPU)
    for network in (objective.generator, objective.discriminator):
        for estimate, exact in map(_sigmas, _normalised(network)):
            assert estimate == pytest.approx(exact, rel=0.05)


def _normalised(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if hasattr(module, "parametrizations")]


def _sigmas(conv: nn.Module) -> tuple[float, float]:
    """The estimated and the exact largest singular value of a convolution's weight."""
    parametrization = conv.parametrizations["weight"]
    matrix = parametrization.original.detach().flatten(1)
    u, v = parametrization[0]._u, parametrization[0]._v
    return float(u @ matrix @ v), float(torch.linalg.matrix_norm(matrix, 2))


def test_the_average_follows_by_its_decay_and_copies_buffers() -> None:
    network = nn.BatchNorm2d(1)
    average = Ema(network, 0.75)
    with torch.no_grad():
        network.weight.fill_(5.0)
        network.running_mean.fill_(3.0)
    average.update(network)
    assert average.network.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average.network.running_mean.item() == 3.0
    assert not average.network.weight.requires_grad
    assert average.network.training is False


def test_the_average_is_what_ships(params: config.Params) -> None:
    objective = sparnethd(params.train_sparnethd)
    objective.step(batch(), 1.0)
    shipped = objective.shipped()
    assert objective.ema is not None
    assert shipped is objective.ema.network
    assert not shipped.training
    assert not same(shipped.state_dict(), objective.generator.state_dict())


def test_without_an_average_the_generator_ships_and_trains_on(params: config.Params) -> None:
    objective = sparnet(params.train_sparnet.model_copy(update={"ema_decay": None}))
    assert objective.shipped() is objective.generator
    assert not objective.generator.training
    objective.step(batch(), 1.0)
    assert objective.generator.training


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_batch_in_parts_is_the_same_update(model: str, params: config.Params) -> None:
    def stepped(accumulate: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        settings = getattr(params, f"train_{model}")
        network = settings.network.model_copy(update={"norm": "instance"})
        settings = settings.model_copy(update={"accumulate": accumulate, "network": network})
        objective = (sparnet if model == "sparnet" else sparnethd)(settings)
        for network in objective._networks().values():
            network.double()
        four = Batch(*(torch.cat([side(batch(0)), side(batch(1))]).double() for side in (lr, hr)))
        terms = objective.step(four, 1.0)
        return terms, objective.generator.state_dict()

    whole, parts = stepped(1), stepped(2)
    for expected, found in zip(whole, parts, strict=True):
        assert found.keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-6, atol=1e-9)


def lr(batch: Batch) -> Tensor:
    return batch.lr


def hr(batch: Batch) -> Tensor:
    return batch.hr


def test_the_identity_term_compares_embeddings(params: config.Params) -> None:
    weights = params.train_sparnethd.losses.model_copy(update={"identity": 3.0})
    settings = params.train_sparnethd.model_copy(update={"losses": weights})
    terms = sparnethd(settings, identity=nn.Flatten()).step(batch(), 1.0)
    without = 100 * terms["pixel"] + 10 * terms["feature_matching"] + terms["adversarial"]
    assert 0 < terms["identity"].item() < 2
    assert terms["total"].item() == pytest.approx((without + 3 * terms["identity"]).item())


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_restored_objective_steps_to_the_same_bits(model: str, params: config.Params) -> None:
    def fresh() -> SparnetObjective | SparnetHdObjective:
        if model == "sparnet":
            return sparnet(params.train_sparnet.model_copy(update={"ema_decay": 0.9}))
        return sparnethd(params.train_sparnethd)

    objective = fresh()
    objective.step(batch(0), 1.0)
    saved = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    objective.shipped()
    objective.step(batch(1), 0.5)
    restored = fresh()
    restored.load_state_dict(saved)
    restored.step(batch(1), 0.5)
    assert same(objective.state_dict(), restored.state_dict())
    assert same(objective.shipped().state_dict(), restored.shipped().state_dict())


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_every_operation_of_a_step_is_deterministic(model: str, params: config.Params) -> None:
    hardware.prepare(torch.device("cpu"), 1)
    if model == "sparnet":
        sparnet(params.train_sparnet).step(batch(), 1.0)
    else:
        sparnethd(params.train_sparnethd).step(batch(), 1.0)


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_step_under_autocast_is_finite(model: str, params: config.Params) -> None:
    where = Placement(torch.device("cpu"), torch.bfloat16)
    objective = (
        sparnet(params.train_sparnet) if model == "sparnet" else sparnethd(params.train_sparnethd)
    )
    objective._placement = where
    assert all(torch.isfinite(term) for term in objective.step(batch(), 1.0).values())


def test_units_and_scales_are_compiled_for_all_that_a_step_asks_of_them(
    params: config.Params, compiled: list[fx.GraphModule]
) -> None:
    settings = params.train_sparnethd
    update = {
        "compile": True,
        "network": settings.network.model_copy(update={"attention": "none"}),
        "discriminator": config.DiscriminatorNetwork(base_channels=4, layers=1, scales=3),
    }
    objective = sparnethd(settings.model_copy(update=update))
    objective.generator.checkpointing = True
    for _ in range(2):
        objective.step(batch(), 1.0)
    assert len(compiled) > 8 + 8, "torch's own limit for units and for scales would do"
