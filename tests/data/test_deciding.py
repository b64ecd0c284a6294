"""Which candidates are taken, why not the others, and into which split they go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparnet.config import FaceSearch, Framings, Prepare, Sizes
from sparnet.data.preparation.deciding import decide, judge

BOXES = Framings(sparnet="box", sparnethd="box")


def settings(search: dict[str, Any] | None = None, **changes: Any) -> Prepare:
    faces = FaceSearch(**({"framing": BOXES} | (search or {})))
    chosen = {"sizes": Sizes(sparnet=64, sparnethd=128), "val": 0.2, "test": 0.2, "faces": faces}
    return Prepare(**(chosen | changes))


def candidate(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A face that nothing is wrong with, of a person of its own."""
    embedding = np.zeros(128, np.float32)
    embedding[number % 128] = 1
    row = {
        "id": f"p{number:03d}",
        "picture": f"p{number:03d}",
        "file": f"album/p{number:03d}.jpg",
        "sha256": f"{number:064x}",
        "face": 0,
        "named": None,
        "problem": None,
        "width": 300,
        "height": 200,
        **{"left": 100.0, "top": 50.0, "right": 180.0, "bottom": 130.0},
        "score": 1.0,
        "points": [160.0, 70.0, 145.0, 70.0, 115.0, 70.0, 130.0, 70.0, 138.0, 100.0],
        "turned": 0.1,
        "upside_down": False,
        "sharpness": 0.3,
        "drawn": 0.0,
        "phash": f"{number:064x}",
        "phash_mirrored": "f" * 64,
        "embedding": embedding,
    }
    return row | changes


NO_FACE = {"score": None, "points": None, "turned": None, "embedding": None}


@pytest.mark.parametrize(
    ("changes", "search", "reason"),
    [
        ({"problem": "damaged"}, {}, "unreadable"),
        ({"height": 63}, {}, "too_small"),
        (NO_FACE, {}, "no_face"),
        (NO_FACE | {"upside_down": True}, {}, "upside_down"),
        ({"right": 140.0, "bottom": 90.0}, {}, "small_face"),
        ({"score": 0.3}, {"min_score": 0.4}, "unsure_face"),
        ({"turned": 0.5}, {}, "turned_away"),
        ({"sharpness": 0.01}, {"min_sharpness": 0.02}, "blurred"),
        ({"drawn": 0.6}, {"max_drawn": 0.5}, "drawn"),
        ({"width": 120, "height": 120}, {"framing": Framings()}, "cut_off"),
    ],
)
def test_each_fault_has_its_reason(
    changes: dict[str, Any], search: dict[str, Any], reason: str
) -> None:
    refused = judge(candidate(**changes), settings(search))
    assert refused is not None
    assert refused.reason == reason
    assert "\n" not in refused.detail
    assert judge(candidate(), settings(search)) is None


def test_a_tight_crop_without_a_face_may_be_taken_but_not_a_drawing() -> None:
    whole = settings({"without_face": "whole", "max_drawn": 0.5})
    assert judge(candidate(**NO_FACE), whole) is None
    refused = judge(candidate(**NO_FACE, drawn=0.9), whole)
    assert refused is not None
    assert refused.reason == "drawn"


def test_a_person_can_rule_files_out_by_name_or_pattern() -> None:
    rows = pd.DataFrame([candidate(number) for number in range(4)])
    decision = decide(rows, settings(exclude=["album/p001.jpg", "*3.jpg"]), 0)
    assert [id for id, _ in decision.refused] == ["p001", "p003"]
    assert {refused.reason for _, refused in decision.refused} == {"excluded"}
    assert decision.taken["id"].tolist() == ["p000", "p002"]


def test_of_near_duplicates_the_largest_then_the_sharpest_stays() -> None:
    near = "0" * 63 + "1"
    rows = pd.DataFrame(
        [
            candidate(0, phash="0" * 64),
            candidate(0, id="p001", phash=near, right=190.0, bottom=140.0),
            candidate(0, id="p002", phash=near, right=190.0, bottom=140.0, sharpness=0.4),
            candidate(5, phash=near),
        ]
    )
    decision = decide(rows, settings(near_duplicates=4), 0)
    assert [id for id, _ in decision.refused] == ["p000", "p001"]
    assert decision.refused[0][1].detail == "nearly the picture of p002"
    assert decision.taken["id"].tolist() == ["p002", "p005"], "another person is no copy"


def test_the_source_names_the_largest_face_only() -> None:
    rows = pd.DataFrame([candidate(0, named="Ann"), candidate(1, id="p000~2", face=1, named="Ann")])
    persons = decide(rows, settings(), 0).taken["person"].tolist()
    assert persons[0] == "Ann"
    assert persons[1].startswith("sha256:")


def test_a_crowd_of_look_alikes_is_trained_on_and_no_group_is_in_two_splits() -> None:
    crowd = [candidate(0, id=f"c{number}", sha256=f"{number + 900:064x}") for number in range(30)]
    rows = pd.DataFrame(crowd + [candidate(number) for number in range(1, 100)])
    for seed in range(5):
        taken = decide(rows, settings(), seed).taken
        assert set(taken[taken["id"].str.startswith("c")]["split"]) == {"train"}
        assert set(taken["split"]) == {"train", "val", "test"}
        assert taken.groupby("person")["split"].nunique().max() == 1


def test_a_named_person_is_in_the_same_split_however_many_pictures_there_are() -> None:
    few = pd.DataFrame([candidate(number, named="Ann") for number in range(3)])
    many = pd.DataFrame([candidate(number, named="Ann") for number in range(60)])
    splits = [set(decide(rows, settings(), 1).taken["split"]) for rows in (few, many)]
    assert splits[0] == splits[1]
