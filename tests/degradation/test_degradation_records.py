from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparnet.data.degradation import PRESETS, Record, draw
from sparnet.errors import UserError

DRAWS = 2000
BLIND = {
    "gfpgan": {"sigma": (0.1, 10), "ratio": (0.8, 8), "sd": (0, 20), "jpeg": (60, 100)},
    "codeformer": {"sigma": (1, 15), "ratio": (4, 30), "sd": (0, 20), "jpeg": (30, 80)},
    "wide": {"sigma": (0.1, 15), "ratio": (0.8, 32), "sd": (0, 20), "jpeg": (30, 100)},
}
GREY = {"gfpgan": 0.01, "codeformer": 0.0, "wide": 0.01}

any_draw = st.tuples(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 2**40),
    st.text(max_size=12),
    st.integers(0, 1000),
)


def records(preset: str) -> list[Record]:
    return [draw(preset, 0, "face", variant) for variant in range(DRAWS)]


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def assert_uniform(values: list[float], low: float, high: float) -> None:
    """Inside low..high, near both ends, and centred as a uniform draw must be."""
    span = high - low
    assert low <= min(values) < low + 0.05 * span
    assert high - 0.05 * span < max(values) <= high
    four_deviations = 4 * span / math.sqrt(12 * len(values))
    assert abs(sum(values) / len(values) - (low + high) / 2) < four_deviations


@given(any_draw)
def test_a_draw_depends_on_its_arguments_alone(arguments):
    assert draw(*arguments) == draw(*arguments)


@given(any_draw)
def test_json_gives_back_the_record(arguments):
    record = draw(*arguments)
    assert Record.from_json(record.to_json()) == record


def test_every_argument_changes_the_draw():
    base = draw("wide", 0, "face", 0)
    assert draw("wide", 1, "face", 0) != base
    assert draw("wide", 0, "face1", 0) != base
    assert draw("wide", 0, "face", 1) != base
    assert draw("gfpgan", 0, "face", 0).noise_seed != base.noise_seed


def test_a_draw_stays_what_it_was_in_earlier_versions():
    assert draw("wide", 0, "face", 0).to_json() == (
        '{"angle": 1.6812350681480304, "blur": "gaussian", "frame": 512, "grey": false, '
        '"grey_target": false, "jpeg_quality": 74, "kernel": 41, '
        '"noise_sd": 8.117241733810516, "noise_seed": 3839498572868748598, '
        '"noise_shared": false, "preset": "wide", "ratio": 4.288634431573471, '
        '"resample": "linear", "sigma_x": 14.342444875233438, "sigma_y": 11.118138535831836}'
    )
    assert draw("sparnet_paper", 0, "face", 3).to_json() == (
        '{"angle": null, "blur": null, "frame": 512, "grey": false, "grey_target": false, '
        '"jpeg_quality": 75, "kernel": null, "noise_sd": 0.0, "noise_seed": 0, '
        '"noise_shared": false, "preset": "sparnet_paper", "ratio": 5.333333333333333, '
        '"resample": "area", "sigma_x": null, "sigma_y": null}'
    )


def test_a_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        draw("wide", 0, "face", 0).ratio = 2.0


def test_an_unknown_preset_is_a_users_mistake():
    with pytest.raises(UserError, match="'heavy' is unknown; one of bicubic_x8, gfpgan"):
        draw("heavy", 0, "face", 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ratio": 0}, "ratio"),
        ({"blur": "box"}, "blur"),
        ({"jpeg_quality": 101}, "jpeg_quality"),
        ({"grey": "yes"}, "grey"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_record_that_does_not_fit_names_its_field(change, field):
    text = json.dumps(draw("wide", 0, "face", 0).to_dict() | change)
    with pytest.raises(UserError, match=f"degradation record: {field}: "):
        Record.from_json(text)


def test_a_damaged_record_is_a_users_mistake():
    with pytest.raises(UserError, match="degradation record"):
        Record.from_json("{")


def test_bicubic_x8_draws_nothing():
    record = draw("bicubic_x8", 0, "face", 0)
    assert record == draw("bicubic_x8", 9, "other", 7)
    assert (record.frame, record.ratio, record.blur, record.noise_sd) == (None, 8.0, None, 0.0)
    assert record.jpeg_quality is None


@pytest.mark.parametrize("preset", BLIND)
def test_blind_presets_draw_uniformly_from_their_ranges(preset):
    ranges, drawn = BLIND[preset], records(preset)
    assert {(r.blur, r.kernel, r.frame, r.resample) for r in drawn} == {
        ("gaussian", 41, 512, "linear")
    }
    assert_uniform([r.sigma_x for r in drawn], *ranges["sigma"])
    turned = [r for r in drawn if r.sigma_x != r.sigma_y]
    assert_uniform([r.sigma_y for r in turned], *ranges["sigma"])
    assert_uniform([r.angle for r in turned], -math.pi, math.pi)
    assert abs(share([r.sigma_x == r.sigma_y for r in drawn]) - 0.5) < 0.05
    assert_uniform([r.ratio for r in drawn], *ranges["ratio"])
    assert_uniform([r.noise_sd for r in drawn], *ranges["sd"])
    assert_uniform([r.jpeg_quality for r in drawn], *ranges["jpeg"])
    assert not any(r.noise_shared or r.grey_target for r in drawn)
    assert abs(share([r.grey for r in drawn]) - GREY[preset]) < 0.01


def test_sparnet_paper_draws_the_published_recipe():
    drawn = records("sparnet_paper")
    assert_uniform([r.frame / r.ratio for r in drawn], 32, 127)
    for resample in ("nearest", "linear", "area", "cubic"):
        assert abs(share([r.resample == resample for r in drawn]) - 0.25) < 0.05
    assert abs(share([r.blur is not None for r in drawn]) - 0.5) < 0.05
    assert abs(share([r.noise_sd > 0 for r in drawn]) - 0.2) < 0.04
    assert abs(share([r.jpeg_quality is not None for r in drawn]) - 0.7) < 0.05
    assert abs(share([r.grey for r in drawn]) - 0.3) < 0.05
    assert all(r.grey == r.grey_target for r in drawn)
    assert_uniform([r.jpeg_quality for r in drawn if r.jpeg_quality], 36, 90)
    noisy = [r for r in drawn if r.noise_sd > 0]
    assert_uniform([r.noise_sd for r in noisy], 0, 25.5)
    assert abs(share([r.noise_shared for r in noisy]) - 0.5) < 0.12


def test_sparnet_paper_draws_each_blur_as_often():
    blurred = {blur: [] for blur in ("gaussian", "average", "median", "motion")}
    for record in records("sparnet_paper"):
        if record.blur:
            blurred[record.blur].append(record)
    assert all(200 < len(drawn) < 300 for drawn in blurred.values())
    assert_uniform([r.sigma_x for r in blurred["gaussian"]], 3, 15)
    assert all(r.sigma_x == r.sigma_y for r in blurred["gaussian"])
    assert {r.kernel for r in blurred["average"]} == set(range(3, 16))
    assert {r.kernel for r in blurred["median"]} == set(range(3, 16, 2))
    assert {r.kernel for r in blurred["motion"]} == set(range(5, 26, 2))
    assert_uniform([r.angle for r in blurred["motion"]], 0, 2 * math.pi)
