from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparnet.data.degradation import PRESETS, draw
from sparnet.data.validation import facts, presets
from sparnet.data.validation.presets import Choice, Uniform

DRAWS = 1500


def drawn(preset: str) -> pd.DataFrame:
    records = [draw(preset, 0, str(number), 0) for number in range(DRAWS)]
    rows = [{"model": "any", "preset": preset} | record.to_dict() for record in records]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module", params=list(PRESETS))
def frame(request: pytest.FixtureRequest) -> pd.DataFrame:
    return drawn(request.param)


def test_the_table_knows_every_preset() -> None:
    assert presets.EXPECTED.keys() == PRESETS.keys()


def test_what_a_preset_draws_is_in_the_table(frame: pd.DataFrame) -> None:
    assert facts.outside_preset(frame).unique().tolist() == [""]


def test_draws_follow_the_table(frame: pd.DataFrame) -> None:
    judged = facts.draws(frame)
    assert (judged["distance"] <= judged["limit"]).all()


def test_ranges_of_the_table_are_no_wider_than_what_is_drawn(frame: pd.DataFrame) -> None:
    for _, _, parameter, values in facts.drawn(frame):
        spread = parameter.spread
        if isinstance(spread, Uniform):
            slack = 8 / len(values) * (spread.high - spread.low) + (spread.step or 0)
            assert values.min() - spread.low <= slack, parameter.name
            assert spread.high - values.max() <= slack, parameter.name


@pytest.mark.parametrize(
    ("column", "value"),
    [("blur", "motion"), ("kernel", 42), ("sigma_x", None), ("jpeg_quality", 60.5), ("ratio", 0.7)],
)
def test_a_value_that_cannot_be_drawn_is_named(column: str, value: Any) -> None:
    frame = drawn("wide").head(5)
    frame[column] = frame[column].astype(object)
    frame.loc[3, column] = value
    verdicts = facts.outside_preset(frame)
    assert verdicts[3].startswith(f"{column}=")
    assert (verdicts.drop(3) == "").all()


def test_a_value_that_should_not_be_drawn_is_named() -> None:
    frame = drawn("bicubic_x8").head(3).astype({"noise_sd": float})
    frame.loc[1, "noise_sd"] = 4.0
    assert facts.outside_preset(frame).tolist() == ["", "noise_sd=4.0", ""]


@pytest.mark.parametrize("spread", [Uniform(2, 5), Uniform(0, 9, step=1), Uniform(3, 21, step=2)])
def test_distance_is_small_for_the_right_spread_and_large_for_a_narrower(spread: Uniform) -> None:
    random = np.random.default_rng(0)
    uniform = random.random(2000)
    if spread.step:
        values = spread.low + spread.step * np.floor(
            uniform * ((spread.high - spread.low) / spread.step + 1)
        )
    else:
        values = spread.low + uniform * (spread.high - spread.low)
    limit = spread.limit(len(values))
    middle = values[(values > np.quantile(values, 0.2)) & (values < np.quantile(values, 0.8))]
    assert spread.distance(pd.Series(values)) < limit
    assert spread.distance(pd.Series(middle)) > spread.limit(len(middle))


def test_distance_of_a_choice_is_its_worst_share() -> None:
    spread = Choice({None: 0.5, "a": 0.25, "b": 0.25})
    values = pd.Series([None, "a", "a", "a"])
    assert spread.distance(values) == pytest.approx(0.5)
    assert spread.holds(values).all()
    assert not spread.holds(pd.Series(["c"])).any()
