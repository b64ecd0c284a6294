from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparnet.images import read
from sparnet.metrics import psnr, ssim


def test_metrics_agree_with_the_published_protocol(shared: Path) -> None:
    golden = shared / "golden"
    for case in json.loads((golden / "metrics.json").read_text())["cases"]:
        restored, original = read(golden / case["test"]), read(golden / case["hr"])
        assert psnr(restored, original) == pytest.approx(case["psnr"], abs=1e-6)
        assert ssim(restored, original) == pytest.approx(case["ssim"], abs=1e-6)


def test_equal_pictures_are_alike_in_both_protocols(astronaut: np.ndarray) -> None:
    face = np.ascontiguousarray(astronaut[:64, :64])
    assert ssim(face, face) == pytest.approx(1)
    assert ssim(face, face, "float") == pytest.approx(1)
    assert psnr(face, face) == float("inf")


def test_the_protocols_differ_only_by_the_truncation(astronaut: np.ndarray) -> None:
    face = np.ascontiguousarray(astronaut[64:128, 192:256])
    noise = np.random.default_rng(0).integers(-8, 9, face.shape)
    noisy = np.clip(face + noise, 0, 255).astype(np.uint8)
    assert ssim(noisy, face) == pytest.approx(ssim(noisy, face, "float"), abs=5e-3)
    assert ssim(noisy, face) != ssim(noisy, face, "float")
