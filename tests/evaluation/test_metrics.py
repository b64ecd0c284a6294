from __future__ import annotations

import json

import numpy as np
import pytest

from sparnet.evaluation.metrics import psnr, ssim
from sparnet.images import read


def test_the_golden_pairs_measure_as_by_the_released_protocol(shared):
    golden = shared / "golden"
    cases = json.loads((golden / "metrics.json").read_text())["cases"]
    assert cases
    for case in cases:
        original, other = read(golden / case["hr"]), read(golden / case["test"])
        assert psnr(other, original, protocol="official") == pytest.approx(case["psnr"], abs=1e-6)
        assert ssim(other, original, protocol="official") == pytest.approx(case["ssim"], abs=1e-6)


def test_psnr_follows_its_formula_on_grey_pictures():
    dark = np.full((16, 16, 3), 0, np.uint8)
    light = np.full((16, 16, 3), 255, np.uint8)
    between = (235 - 16) ** 2
    assert psnr(dark, light) == pytest.approx(10 * np.log10(255**2 / between))


def test_the_float_protocol_differs_by_the_truncation_only(astronaut):
    noisy = np.clip(astronaut.astype(int) + 3, 0, 255).astype(np.uint8)
    official = psnr(noisy, astronaut, protocol="official")
    exact = psnr(noisy, astronaut, protocol="float")
    assert official != exact
    assert official == pytest.approx(exact, abs=0.7)


def test_ssim_of_equals_is_one_and_falls_with_noise(astronaut):
    face = astronaut[60:188, 160:288]
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(face + rng.normal(0, sd, face.shape), 0, 255).astype(np.uint8) for sd in (5, 25)
    ]
    assert ssim(face, face) == pytest.approx(1)
    assert 1 > ssim(noisy[0], face) > ssim(noisy[1], face)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_pictures_of_different_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"shape|dimensions"):
        metric(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 17, 3), np.uint8))
