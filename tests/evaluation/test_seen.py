from __future__ import annotations

import pandas as pd

from sparnet.evaluation import seen


def prepared(*faces: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(faces, columns=["id", "split", "person", "sha256"])


def test_people_of_the_training_and_validation_split_are_no_strangers() -> None:
    before = prepared(
        ("a", "train", "ann", "1"), ("b", "val", "bob", "2"), ("c", "test", "cid", "3")
    )
    today = prepared(("a2", "test", "ann", "4"), ("b2", "test", "bob", "5"), *before.values[2:])
    assert seen.strangers(today, seen.of(before)) == {"c"}
    assert seen.strangers(before, seen.of(before)) == {"c"}


def test_a_person_is_known_by_a_picture_whatever_both_are_called_now() -> None:
    before = prepared(("b", "train", "sha256:2", "2"))
    today = prepared(
        ("a", "test", "sha256:1", "1"),
        ("renamed", "test", "sha256:1", "2"),
        ("c", "test", "sha256:3", "3"),
    )
    assert seen.strangers(today, seen.of(before)) == {"c"}


def test_another_face_of_the_same_picture_is_another_face() -> None:
    both = prepared(("p", "train", "ann", "1"), ("p~2", "test", "bob", "1"))
    assert seen.strangers(both, seen.of(both)) == {"p~2"}


def test_what_any_of_the_lists_holds_is_known() -> None:
    ann, bob = (seen.of(prepared(("x", "train", person, person))) for person in ("ann", "bob"))
    today = prepared(
        *((person, "test", person, f"of {person}") for person in ("ann", "bob", "cid"))
    )
    assert seen.strangers(today, ann, bob) == {"cid"}
    assert seen.strangers(today) == {"ann", "bob", "cid"}
