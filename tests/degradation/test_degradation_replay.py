from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparnet import images
from sparnet.data.degradation import PRESETS, Record, apply, draw, low, target
from sparnet.images import Picture, is_grey, resize


def clean(record: Record) -> Record:
    """The record without what chance or coding adds."""
    return dataclasses.replace(record, noise_sd=0.0, jpeg_quality=None, grey=False)


def gradient(width: int, height: int) -> Picture:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("name", ["astronaut_face", "coffee"])
def test_bicubic_x8_is_pillows_to_the_last_bit(shared, name):
    golden = shared / "golden"
    hr = images.read(golden / f"metrics_{name}_hr.png")
    record = draw("bicubic_x8", 0, name, 0)
    assert np.array_equal(low(hr, record), images.read(golden / f"metrics_{name}_lr16.png"))
    assert np.array_equal(apply(hr, record), images.read(golden / f"metrics_{name}_bicubic.png"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_replay_is_the_same_picture(face, preset):
    image = resize(face, (128, 128))
    before = image.copy()
    for variant in range(12):
        record = draw(preset, 0, "face", variant)
        again = apply(image, Record.from_json(record.to_json()))
        assert np.array_equal(apply(image, record), again)
    assert np.array_equal(image, before)


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 10_000),
    st.integers(8, 90),
    st.integers(8, 90),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_comes_back(preset, variant, width, height):
    image = gradient(width, height)
    record = draw(preset, 0, "shape", variant)
    degraded = apply(image, record)
    assert degraded.shape == image.shape
    assert degraded.dtype == np.uint8
    assert target(image, record).shape == image.shape


@pytest.mark.parametrize("preset", PRESETS)
def test_a_mirrored_view_is_taken_like_its_copy(face, preset):
    view = resize(face, (64, 64))[:, ::-1]
    for variant in range(12):
        record = draw(preset, 0, "view", variant)
        assert np.array_equal(apply(view, record), apply(np.ascontiguousarray(view), record))


@pytest.mark.parametrize("variant", range(6))
def test_the_low_side_is_the_tables_at_512(variant):
    record = draw("wide", 0, "side", variant)
    side = round(512 / record.ratio)
    assert low(gradient(512, 512), record).shape == (side, side, 3)


def test_a_small_picture_has_the_low_side_of_the_large_one_but_is_hardly_enlarged():
    record = draw("wide", 0, "side", 0)
    strong = dataclasses.replace(record, ratio=16.0)
    weak = dataclasses.replace(record, ratio=1.0)
    assert low(gradient(128, 128), strong).shape == (32, 32, 3)
    assert low(gradient(128, 128), weak).shape == (160, 160, 3)


@pytest.mark.parametrize("preset", ["gfpgan", "codeformer", "wide", "sparnet_paper"])
def test_a_small_picture_looks_like_the_large_one_degraded_and_shrunk(face, preset):
    small = resize(face, (128, 128))
    records = [clean(draw(preset, 0, "scale", variant)) for variant in range(15)]
    differences = [
        apply(small, record) - resize(apply(face, record), (128, 128)).astype(float)
        for record in records
        if record.blur != "median" and record.resample != "nearest"
    ]
    assert np.mean(np.abs(differences)) < 2.5


def test_noise_has_the_recorded_deviation():
    flat = np.full((256, 256, 3), 128, np.uint8)
    record = Record(preset="wide", frame=None, ratio=1.0, resample="linear", noise_sd=12.0)
    noise = low(flat, record).astype(float) - 128
    assert abs(noise.std() - 12) < 0.2
    assert abs(noise.mean()) < 0.2
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_shared_noise_is_the_same_in_all_channels():
    flat = np.full((64, 64, 3), 128, np.uint8)
    record = Record(preset="p", frame=None, ratio=1.0, resample="linear", noise_sd=12.0)
    assert is_grey(low(flat, dataclasses.replace(record, noise_shared=True)))
    assert not is_grey(low(flat, record))


def test_jpeg_harms_more_at_lower_quality(face):
    small = resize(face, (128, 128))
    record = Record(preset="p", frame=None, ratio=1.0, resample="linear")
    psnrs = [
        images.psnr(low(small, dataclasses.replace(record, jpeg_quality=quality)), small)
        for quality in (30, 60, 95)
    ]
    assert psnrs == sorted(psnrs)
    assert np.array_equal(low(small, record), small)


def test_grey_turns_the_low_picture_grey_and_the_target_only_where_recorded(face):
    small = resize(face, (64, 64))
    record = dataclasses.replace(draw("wide", 0, "face", 0), grey=True)
    assert is_grey(low(small, record))
    assert np.array_equal(target(small, record), small)
    paper = dataclasses.replace(record, grey_target=True)
    assert is_grey(target(small, paper))
