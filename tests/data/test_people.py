from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparnet.data.preparation.people import grouped

SAME = 0.9


def unit(*angles: float) -> np.ndarray:
    """Embeddings in a plane, at so many degrees."""
    radians = np.radians(angles)
    together = np.zeros((len(angles), 128), np.float32)
    together[:, 0], together[:, 1] = np.cos(radians), np.sin(radians)
    return together


def test_faces_that_are_alike_are_one_person_however_far_the_chain_reaches() -> None:
    keys = ["d", "b", "c", "a"]
    persons = grouped(unit(0, 20, 40, 180), [None] * 4, keys, SAME)
    assert persons == ["b", "b", "b", "a"]


def test_a_named_person_takes_in_faces_that_are_alike() -> None:
    names = ["Ann", None, None, "Bob"]
    persons = grouped(unit(0, 15, 100, 180), names, ["k0", "k1", "k2", "k3"], SAME)
    assert persons == ["Ann", "Ann", "k2", "Bob"]


def test_names_hold_against_the_embeddings() -> None:
    assert grouped(unit(0, 1), ["Ann", "Bob"], ["x", "y"], SAME) == ["Ann", "Bob"]


def test_between_two_names_the_more_alike_one_is_taken() -> None:
    persons = grouped(unit(0, 22, 40), ["Ann", None, "Bob"], ["x", "y", "z"], SAME)
    assert persons == ["Ann", "Bob", "Bob"]


def test_faces_without_an_embedding_stay_alone() -> None:
    embeddings = np.full((3, 128), np.nan, np.float32)
    assert grouped(embeddings, [None, None, "Ann"], ["x", "y", "z"], SAME) == ["x", "y", "Ann"]


def test_nobody_is_grouped_into_nothing() -> None:
    assert grouped(np.zeros((0, 128), np.float32), [], [], SAME) == []


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_no_two_alike_faces_have_different_persons_unless_the_source_says_so(
    seed: int, count: int
) -> None:
    generator = np.random.default_rng(seed)
    embeddings = unit(*generator.uniform(0, 360, count))
    names = [
        f"n{generator.integers(3)}" if generator.random() < 0.3 else None for _ in range(count)
    ]
    persons = grouped(embeddings, names, [f"k{n:02d}" for n in range(count)], SAME)
    alike = np.argwhere(embeddings @ embeddings.T >= SAME)
    for i, j in alike:
        if names[i] is None and names[j] is None:
            assert persons[i] == persons[j]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_order_does_not_matter(order: list[int]) -> None:
    embeddings, names, keys = unit(0, 20, 40, 180), [None, None, "Ann", None], ["d", "b", "c", "a"]
    persons = grouped(embeddings[order], [names[n] for n in order], [keys[n] for n in order], SAME)
    assert dict(zip(order, persons, strict=True)) == {0: "Ann", 1: "Ann", 2: "Ann", 3: "a"}
