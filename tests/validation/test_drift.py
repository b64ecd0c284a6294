from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from seen_faces import seen, without_search

from sparnet.config import Drift
from sparnet.data.validation import drift, profile
from sparnet.data.validation.drift import Row
from sparnet.data.validation.profile import Profile, Spread

Change = Callable[[pd.DataFrame], pd.DataFrame]


def rows(new: pd.DataFrame, old: pd.DataFrame | None = None) -> dict[str, Row]:
    reference = profile.of(seen() if old is None else old)
    return {row.quantity: row for row in drift.compare(reference, profile.of(new), Drift())}


def over(found: dict[str, Row]) -> list[str]:
    return [name for name, row in found.items() if row.over]


def spread(values: np.ndarray) -> Spread:
    found = profile.of(seen(len(values)).assign(brightness=np.tile(values, 2)))
    return found.quantities["brightness"]


def scaled(column: str, factor: float) -> Change:
    return lambda faces: faces.assign(**{column: faces[column] * factor})


def smaller(faces: pd.DataFrame) -> pd.DataFrame:
    return faces.assign(
        right=faces["left"] + (faces["right"] - faces["left"]) / 2,
        bottom=faces["top"] + (faces["bottom"] - faces["top"]) / 2,
    )


def greyer(faces: pd.DataFrame) -> pd.DataFrame:
    return faces.assign(grey=np.arange(len(faces)) % 2 == 0)


def test_another_sample_of_the_same_faces_has_not_drifted():
    for seed in range(1, 21):
        found = rows(seen(seed=seed))
        assert not over(found)
        assert not any(row.reason for row in found.values())


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        ("brightness", scaled("brightness", 0.7)),
        ("contrast", scaled("contrast", 0.7)),
        ("sharpness", scaled("sharpness", 0.4)),
        ("saturation", scaled("saturation", 0.5)),
        ("face_size", smaller),
        ("grey", greyer),
    ],
)
def test_faces_that_changed_are_found_by_the_quantity_that_did(quantity: str, change: Change):
    assert over(rows(change(seen(seed=1)))) == [quantity]


def test_other_people_are_found_by_their_embeddings():
    assert over(rows(seen(seed=1, kind=1))) == ["embedding"]


def test_only_the_training_split_counts():
    elsewhere = seen()
    elsewhere.loc[elsewhere["split"] == "test", "brightness"] = 250.0
    assert profile.of(elsewhere) == profile.of(seen())


def test_the_gap_is_that_of_the_samples():
    draws = np.random.default_rng(0)
    for _ in range(20):
        a = draws.normal(100, 20, 500)
        b = draws.normal(draws.uniform(90, 110), draws.uniform(10, 40), 700)
        places = np.concatenate([a, b])
        exact = np.abs((a <= places[:, None]).mean(1) - (b <= places[:, None]).mean(1)).max()
        assert drift.gap(spread(a), spread(b)) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    ("a", "b", "gap"),
    [
        ([7.0] * 200, [7.0] * 300, 0.0),
        ([7.0] * 200, [8.0] * 200, 1.0),
        ([1.0] * 100 + [2.0] * 100, [1.0] * 60 + [2.0] * 140, 0.2),
        (list(range(200)), list(range(200, 400)), 1.0),
    ],
)
def test_values_that_repeat_are_compared_by_their_shares(a, b, gap):
    first, second = spread(np.array(a, float)), spread(np.array(b, float))
    assert drift.gap(first, second) == pytest.approx(gap, abs=0.011)
    assert drift.gap(second, first) == drift.gap(first, second)


def test_a_shift_by_half_a_deviation_lies_at_the_usual_limit():
    values = np.random.default_rng(0).normal(0, 1, 20_000)
    assert drift.gap(spread(values), spread(values + 0.5)) == pytest.approx(0.2, abs=0.01)


def test_few_faces_are_measured_but_not_judged_and_it_says_how_many_are_needed():
    found = rows(scaled("brightness", 0.3)(seen(100, seed=1)))
    assert found["brightness"].distance > 0.5
    assert over(found) == []
    assert found["brightness"].reason == (
        "needs 191 faces; the champion’s data have 400, the new 100"
    )
    assert "persons; the champion’s data have 200, the new 50" in found["embedding"].reason


def test_a_person_photographed_often_counts_little():
    faces = seen(400)
    faces.loc[faces.index[:300], "person"] = "often"
    embedding = profile.of(faces).embedding
    assert embedding is not None
    assert 1 < embedding.persons < 3


def test_as_many_faces_as_needed_keep_chance_within_the_limit():
    draws = np.random.default_rng(0)
    count = drift.faces_needed(0.2)
    gaps = [drift.gap(spread(draws.random(count)), spread(draws.random(count))) for _ in range(200)]
    assert max(gaps) < 0.2
    assert drift.faces_needed(0.1) == pytest.approx(4 * count, rel=0.01)


def test_as_many_persons_as_needed_keep_chance_within_the_limit():
    every = profile.of(seen(4000)).embedding
    assert every is not None
    count = drift.persons_needed(0.3, every.widest)
    assert 20 < count < 200
    for seed in range(1, 21):
        found = rows(seen(2 * count, seed), old=seen(2 * count, seed + 100))
        assert found["embedding"].distance < 0.3


def test_what_was_not_measured_is_left_out_and_not_judged():
    plain = without_search(seen())
    assert profile.of(plain).embedding is None
    found = rows(plain)
    assert found["embedding"].reason == "not measured of the new data"
    assert rows(seen(), old=plain)["embedding"].reason == "not measured of the champion’s data"
    assert over(found) == []


def test_a_set_without_training_faces_has_an_empty_profile():
    nothing = profile.of(seen().iloc[:0])
    assert (nothing.faces, nothing.quantities, nothing.embedding) == (0, {}, None)
    assert not over({row.quantity: row for row in drift.compare(nothing, nothing, Drift())})


def test_a_profile_reads_back_as_itself_and_anything_else_as_none():
    found = profile.of(seen())
    text = found.model_dump_json()
    assert profile.parse(text) == found
    later = json.loads(text) | {"version": 2}
    assert profile.parse(json.dumps(later)) is None
    assert profile.parse("{") is None


def test_a_profile_does_not_depend_on_the_order_of_the_faces():
    assert profile.of(seen().sample(frac=1, random_state=0)) == profile.of(seen())


def verdicts(new: pd.DataFrame, limits: Drift) -> dict[str, tuple[str, str, str]]:
    found = drift.compare(profile.of(seen()), profile.of(new), limits)
    outcomes = drift.judge(found, "sparnet 3", limits)
    assert [outcome.rule for outcome in outcomes] == [row.quantity for row in found]
    return {one.rule: (one.status, one.severity, one.reason) for one in outcomes}


def test_the_expectation_holds_the_limits_of_the_parameters():
    darker = scaled("brightness", 0.9)(seen(seed=1))
    assert verdicts(darker, Drift(brightness=0.4))["brightness"] == ("passed", "warning", "")
    strict = Drift(brightness=0.15, severity="critical")
    assert verdicts(darker, strict)["brightness"][:2] == ("failed", "critical")
    free = verdicts(darker, Drift(brightness=None))
    assert free["brightness"] == ("skipped", "warning", "params give no limit")


def test_nothing_measured_is_nothing_judged():
    nothing: Profile = profile.of(seen().iloc[:0])
    outcomes = drift.judge(drift.compare(nothing, nothing, Drift()), "sparnet 1", Drift())
    assert {outcome.status for outcome in outcomes} == {"skipped"}
