"""Where faces are looked for in a photograph."""

from __future__ import annotations

import numpy as np
import pytest

from sparnet.faces.detection import Detector, Face
from sparnet.inference.finding import TURNS, Finder


class Blind(Detector):
    """Sees nothing, and notes what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def detect(self, rgb: np.ndarray) -> list[Face]:
        self.shown.append(rgb.shape[:2])
        return []


@pytest.fixture
def finder() -> Finder:
    finder = Finder(Blind())
    finder.quick = Blind()
    return finder


def test_a_photograph_without_an_upright_face_is_looked_at_in_every_turn(finder: Finder) -> None:
    assert finder.find(np.zeros((60, 90, 3), np.uint8)) == []
    assert len(finder.quick.shown) == len(TURNS)


@pytest.mark.parametrize("shape", [(1, 30_000), (30_000, 1), (100, 4_000)])
def test_a_long_picture_is_turned_into_none_that_fills_the_memory(
    finder: Finder, shape: tuple[int, int]
) -> None:
    assert finder.find(np.zeros((*shape, 3), np.uint8)) == []
    assert len(finder.quick.shown) == 3
    assert max(height * width for height, width in finder.quick.shown) <= 4 * shape[0] * shape[1]
