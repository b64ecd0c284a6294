from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from sparnet.images import (
    is_grey,
    luma,
    psnr,
    read,
    resize,
    sharpness,
    strip,
    to_tensor,
    to_uint8,
)

pictures = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def test_psnr_agrees_with_the_released_code(shared: Path) -> None:
    golden = shared / "golden"
    for case in json.loads((golden / "metrics.json").read_text())["cases"]:
        measured = psnr(read(golden / case["hr"]), read(golden / case["test"]))
        assert measured == pytest.approx(case["psnr"], abs=1e-6)


def test_bicubic_agrees_with_the_golden_pictures(shared: Path) -> None:
    golden = shared / "golden"
    hr = read(golden / "metrics_coffee_hr.png")
    lr = resize(hr, (16, 16))
    assert np.array_equal(lr, read(golden / "metrics_coffee_lr16.png"))
    assert np.array_equal(resize(lr, (128, 128)), read(golden / "metrics_coffee_bicubic.png"))


@pytest.mark.parametrize("size", [(16, 16), (700, 300), (512, 512)])
def test_resize_is_pillows(astronaut: np.ndarray, size: tuple[int, int]) -> None:
    expected = Image.fromarray(astronaut).resize(size, Image.Resampling.BICUBIC)
    assert np.array_equal(resize(astronaut, size), np.asarray(expected))


def test_resize_takes_grey_pictures() -> None:
    assert resize(np.zeros((8, 6), np.uint8), (3, 4), "nearest").shape == (4, 3)


@given(pictures)
def test_truncated_luma_is_the_float_luma_cut_down(image: np.ndarray) -> None:
    exact = luma(image, truncate=False)
    assert np.array_equal(luma(image), np.floor(exact + 1e-9))
    assert exact.min() >= 16
    assert exact.max() <= 235


@given(pictures)
def test_equal_pictures_have_infinite_psnr(image: np.ndarray) -> None:
    assert psnr(image, image) == math.inf
    assert psnr(image, image, "float") == math.inf


def test_psnr_refuses_pictures_of_different_shapes() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))


def test_psnr_protocols_differ() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert psnr(a, b, "official") == pytest.approx(psnr(a, b, "float"), abs=0.1)
    assert psnr(a, b, "official") != psnr(a, b, "float")


def test_all_256_values_survive_the_tensor() -> None:
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(to_uint8(tensor)[0], image)


def test_tensors_outside_the_range_are_clipped() -> None:
    assert to_uint8(torch.full((1, 3, 2, 2), 1.5, dtype=torch.bfloat16)).max() == 255
    assert to_uint8(torch.full((1, 3, 2, 2), -7.0)).max() == 0


def test_a_batch_keeps_its_order() -> None:
    batch = np.random.default_rng(2).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    assert np.array_equal(to_uint8(to_tensor(batch)), batch)


def test_blur_lowers_the_sharpness(astronaut: np.ndarray) -> None:
    blurred = resize(resize(astronaut, (64, 64)), (512, 512))
    assert sharpness(blurred) < sharpness(astronaut) / 5
    assert sharpness(np.full((8, 8, 3), 77, np.uint8)) == 0
    assert sharpness(np.zeros((2, 2, 3), np.uint8)) == 0


def test_grey_means_equal_channels_everywhere() -> None:
    image = np.full((4, 4, 3), 9, np.uint8)
    assert is_grey(image)
    image[3, 3, 2] += 1
    assert not is_grey(image)


def test_a_strip_shows_the_pictures_side_by_side(astronaut: np.ndarray) -> None:
    left, right = astronaut[:32, :32], astronaut[:32, 100:140]
    shown = strip([left, right])
    assert np.array_equal(shown[:, :32], left)
    assert np.array_equal(shown[:, -40:], right)


def test_a_strip_enlarges_small_pictures_and_captions_all(astronaut: np.ndarray) -> None:
    small, large = astronaut[:16, :16], astronaut[:128, :128]
    plain, captioned = strip([small, large]), strip([small, large], ["lr", "a caption " * 9])
    assert plain.shape[0] == 128
    assert np.array_equal(plain[::8, :128:8], small)
    assert np.array_equal(captioned[-128:], plain)
    assert captioned[:-128].min() < 128


def test_an_empty_strip_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        strip([])
