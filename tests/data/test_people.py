from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from sparnet.data.preparation.people import TWINS, grouped

SAME = 0.9


def unit(*angles: float) -> np.ndarray:
    """Embeddings in a plane, at so many degrees."""
    radians = np.radians(angles)
    together = np.zeros((len(angles), 128), np.float32)
    together[:, 0], together[:, 1] = np.cos(radians), np.sin(radians)
    return together


def test_the_most_alike_are_joined_first_and_a_chain_joins_nobody() -> None:
    keys = ["d", "b", "c", "a"]
    assert grouped(unit(0, 17, 40, 180), [None] * 4, keys, SAME) == ["b", "b", "c", "a"]


def test_groups_are_those_of_average_linkage() -> None:
    generator = np.random.default_rng(3)
    people = generator.normal(size=(20, 128))
    faces = people[generator.integers(20, size=150)] + 0.45 * generator.normal(size=(150, 128))
    embeddings = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    distances = squareform(np.clip(1 - embeddings @ embeddings.T, 0, 2), checks=False)
    for same in (0.5, 0.7, 0.8, 0.85):
        expected = fcluster(linkage(distances, "average"), 1 - same, "distance")
        found = grouped(embeddings, [None] * 150, [f"{n:03d}" for n in range(150)], same)
        together = np.array(found)[:, None] == np.array(found)
        assert np.array_equal(together, expected[:, None] == expected)


def test_a_named_person_takes_in_faces_that_are_alike() -> None:
    names = ["Ann", None, None, "Bob"]
    persons = grouped(unit(0, 15, 100, 180), names, ["k0", "k1", "k2", "k3"], SAME)
    assert persons == ["Ann", "Ann", "k2", "Bob"]


def test_names_hold_against_the_embeddings() -> None:
    assert grouped(unit(0, 1), ["Ann", "Bob"], ["x", "y"], SAME) == ["Ann", "Bob"]


def test_between_two_names_the_more_alike_one_is_taken() -> None:
    persons = grouped(unit(0, 22, 40), ["Ann", None, "Bob"], ["x", "y", "z"], SAME)
    assert persons == ["Ann", "Bob", "Bob"]


def test_twins_are_one_person_whatever_their_groups() -> None:
    persons = grouped(unit(-20, 0, 12, 32), [None] * 4, ["a", "b", "c", "d"], 0.99)
    assert persons == ["a", "b", "b", "d"]
    keys = [f"{n:02d}" for n in range(20)]
    assert set(grouped(unit(*range(0, 200, 10)), [None] * 20, keys, 0.999)) == {"00"}


def test_faces_without_an_embedding_stay_alone() -> None:
    embeddings = np.full((3, 128), np.nan, np.float32)
    assert grouped(embeddings, [None, None, "Ann"], ["x", "y", "z"], SAME) == ["x", "y", "Ann"]


def test_nobody_is_grouped_into_nothing() -> None:
    assert grouped(np.zeros((0, 128), np.float32), [], [], SAME) == []


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_no_twins_are_different_persons_unless_the_source_says_so(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    embeddings = unit(*generator.uniform(0, 360, count))
    names = [
        f"n{generator.integers(3)}" if generator.random() < 0.3 else None for _ in range(count)
    ]
    persons = grouped(embeddings, names, [f"k{n:02d}" for n in range(count)], SAME)
    assert [person for person, name in zip(persons, names, strict=True) if name] == [
        name for name in names if name
    ]
    for i, j in np.argwhere(embeddings @ embeddings.T >= TWINS):
        assert persons[i] == persons[j] or {persons[i], persons[j]} <= set(names)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_order_does_not_matter(order: list[int]) -> None:
    embeddings, names, keys = unit(0, 17, 40, 180), [None, None, "Ann", None], ["d", "b", "c", "a"]
    persons = grouped(embeddings[order], [names[n] for n in order], [keys[n] for n in order], SAME)
    assert dict(zip(order, persons, strict=True)) == {0: "b", 1: "b", 2: "Ann", 3: "a"}
