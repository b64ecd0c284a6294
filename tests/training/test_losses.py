from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sparnet.training import losses
from sparnet.training.losses import Judgement


def judgement(score: float, *features: float) -> Judgement:
    maps = [torch.full((1, 2, 2, 2), value, requires_grad=True) for value in features]
    return torch.full((1, 1, 3, 3), score, requires_grad=True), maps


def test_pixel_is_the_mean_absolute_difference() -> None:
    sr = torch.tensor([[[[0.5, -1.0]]]])
    hr = torch.tensor([[[[0.0, 1.0]]]])
    assert losses.pixel(sr, hr).item() == pytest.approx(1.25)


def test_perceptual_sums_over_layers_without_a_gradient_to_the_target() -> None:
    sr = [torch.full((1, 1, 2, 2), 1.0, requires_grad=True), torch.full((1, 4, 1, 1), 3.0)]
    hr = [torch.full((1, 1, 2, 2), 0.5, requires_grad=True), torch.full((1, 4, 1, 1), 1.0)]
    loss = losses.perceptual(sr, hr)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 + 2.0)
    assert hr[0].grad is None
    assert sr[0].grad is not None


def test_feature_matching_is_a_mean_over_scales_of_a_sum_over_features() -> None:
    fake = [judgement(0.0, 1.0, 2.0), judgement(0.0, 5.0, 0.0)]
    real = [judgement(0.0, 0.0, 0.0), judgement(0.0, 4.0, 0.0)]
    loss = losses.feature_matching(fake, real)
    loss.backward()
    assert loss.item() == pytest.approx(((1 + 2) + (1 + 0)) / 2)
    assert all(feature.grad is None for _, features in real for feature in features)


def test_the_generator_wants_high_scores_at_every_scale() -> None:
    loss = losses.adversarial([judgement(2.0), judgement(-0.5)])
    assert loss.item() == pytest.approx(-(2.0 - 0.5) / 2)


@pytest.mark.parametrize(
    ("fake", "real", "expected"),
    [
        pytest.param(0.5, 0.25, 0.5 * (1.5 + 0.75), id="both inside the margin"),
        pytest.param(-2.0, 3.0, 0.0, id="both beyond the margin"),
    ],
)
def test_hinge_pushes_scores_to_the_margin_and_no_further(
    fake: float, real: float, expected: float
) -> None:
    loss = losses.hinge([judgement(fake)], [judgement(real)])
    assert loss.item() == pytest.approx(expected)


def test_hinge_is_a_mean_over_scales() -> None:
    fake, real = [judgement(0.5), judgement(-2.0)], [judgement(0.25), judgement(3.0)]
    assert losses.hinge(fake, real).item() == pytest.approx(1.125 / 2)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_losses_of_half_precision_are_float32(kind: torch.dtype) -> None:
    half: Tensor = torch.ones(1, 3, 2, 2, dtype=kind)
    assert losses.pixel(half, half).dtype == torch.float32
    assert losses.adversarial([(half, [])]).dtype == torch.float32
    assert losses.hinge([(half, [])], [(half, [])]).dtype == torch.float32
