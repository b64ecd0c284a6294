"""A degraded picture stays where its original is."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparnet.data.degradation import PRESETS, apply, draw, kernels, operators
from sparnet.images import Picture, luma, resize

widths = st.floats(0.1, 60)
angles = st.floats(-7, 7)
LIMIT = 0.1


def turned(image: Picture) -> Picture:
    return np.ascontiguousarray(image[::-1, ::-1])


def blob(side: int, x: float, y: float) -> Picture:
    """A smooth light spot on black at (x, y), in shares of the side."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 0.1**2))
    return np.repeat(np.rint(220 * spot)[..., None], 3, -1).astype(np.uint8)


def centroid(weights: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def shift(image: Picture, degraded: Picture, cycles: int = 6) -> np.ndarray:
    """(x, y) by which `degraded` lies off, in pixels: phase correlation of the low frequencies.

    A shift turns the phase of a frequency in proportion to it; the slope is fitted, weighted by
    how much of the frequency there is.
    """
    side = len(image)
    window = np.outer(np.hanning(side), np.hanning(side))
    first, second = (
        np.fft.fft2((y - y.mean()) * window)
        for y in (luma(picture, truncate=False) for picture in (image, degraded))
    )
    frequency = np.fft.fftfreq(side) * side
    x, y = np.meshgrid(frequency, frequency)
    chosen = (np.hypot(x, y) <= cycles) & (np.hypot(x, y) > 0)
    cross = (second * first.conj())[chosen]
    weight = np.sqrt(np.abs(cross))
    slopes = np.stack([x[chosen], y[chosen]], 1) * (-2 * np.pi / side)
    return np.linalg.lstsq(slopes * weight[:, None], np.angle(cross) * weight, rcond=None)[0]


def test_the_measure_finds_a_known_shift(face):
    moved = np.roll(face, (-2, 3), axis=(0, 1))
    assert np.allclose(shift(face, moved), (3, -2), atol=0.2)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("picture", ["photograph", "smooth"])
def test_no_preset_moves_the_picture(face, preset, picture):
    """A picture's own content leans the measure one way, the turned picture's the other."""
    image = resize(face, (128, 128)) if picture == "photograph" else blob(128, 0.46, 0.55)
    images = (image, turned(image))
    draws = 1 if preset == "bicubic_x8" else 80
    shifts = [
        shift(image, apply(image, draw(preset, turn, picture, variant)))
        for variant in range(draws)
        for turn, image in enumerate(images)
    ]
    assert np.abs(np.mean(shifts, axis=0)).max() < LIMIT


@pytest.mark.parametrize("preset", ["wide", "sparnet_paper"])
def test_no_preset_moves_a_large_picture(face, preset):
    draws = [dataclasses.replace(draw(preset, 0, "large", v), noise_sd=0.0) for v in range(12)]
    shifts = [
        shift(image, apply(image, record)) for record in draws for image in (face, turned(face))
    ]
    assert np.abs(np.mean(shifts, axis=0)).max() < LIMIT


@pytest.mark.parametrize("preset", PRESETS)
def test_the_centroid_of_a_spot_stays(preset):
    spot = blob(128, 0.47, 0.54)
    for variant in range(40):
        record = dataclasses.replace(
            draw(preset, 0, "spot", variant), noise_sd=0.0, jpeg_quality=None
        )
        degraded = apply(spot, record)
        offset = centroid(degraded[..., 0]) - centroid(spot[..., 0])
        assert np.abs(offset).max() < LIMIT


@given(st.sampled_from(sorted(PRESETS)), st.integers(0, 10_000), st.integers(16, 96))
@settings(max_examples=60, deadline=None)
def test_turning_the_picture_turns_the_result(preset, variant, side):
    """What holds for a picture and its half turn alike cannot prefer a direction."""
    image = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    record = dataclasses.replace(draw(preset, 0, "turn", variant), noise_sd=0.0, jpeg_quality=None)
    if record.resample == "nearest":
        record = dataclasses.replace(record, resample="linear")
    difference = apply(turned(image), record).astype(int) - turned(apply(image, record))
    assert np.abs(difference).max() <= 2


@given(st.integers(1, 600), st.integers(1, 600))
def test_nearest_takes_pixels_around_the_true_centres(source, count):
    index = operators.nearest(source, count)
    centres = (np.arange(count) + 0.5) * source / count
    error = index + 0.5 - centres
    assert index.min() >= 0
    assert index.max() < source
    assert np.abs(error).max() <= 0.5 + 1e-9
    assert abs(error.mean()) <= 0.5 / count + 1e-9


@given(widths, widths, st.floats(0.01, 30), angles)
def test_every_kernel_is_centred_and_keeps_the_brightness(width, sigma_x, sigma_y, angle):
    for kernel in (
        np.outer(kernels.average(width), kernels.average(width)),
        np.outer(kernels.gaussian(width, sigma_y), kernels.gaussian(width, sigma_y)),
        kernels.turned_gaussian(width, sigma_x, sigma_y, angle),
        kernels.motion(width, angle),
    ):
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert kernel.min() >= 0
        assert math.isclose(kernel.sum(), 1, abs_tol=1e-5)
        assert np.allclose(centroid(kernel), len(kernel) // 2, atol=1e-4)


@pytest.mark.parametrize("width", [3, 7, 15])
def test_an_odd_average_is_the_usual_one(width):
    assert np.allclose(kernels.average(width), np.full(width, 1 / width))


def test_an_even_average_halves_its_ends():
    assert np.allclose(kernels.average(4), np.array([0.5, 1, 1, 1, 0.5]) / 4)


@pytest.mark.parametrize("sigma", [0.8, 4.0, 15.0])
def test_a_gaussian_window_of_41_is_the_usual_one(sigma):
    usual = cv2.getGaussianKernel(41, sigma).ravel()
    assert np.allclose(kernels.gaussian(41, sigma), usual, atol=1e-6)


def test_a_turned_gaussian_lies_along_its_angle():
    kernel = kernels.turned_gaussian(41, 8.0, 1.0, math.pi / 4)
    assert kernel[30, 30] > 100 * kernel[10, 30]


def test_a_level_motion_is_a_row_of_equal_taps():
    kernel = kernels.motion(9, 0.0)
    middle = len(kernel) // 2
    assert np.allclose(kernel[middle, middle - 4 : middle + 5], 1 / 9)
