from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sparnet.data.parallel import ordered_map
from sparnet.errors import UserError


def square(number: int) -> int:
    if number == 666:
        raise UserError("666 is refused")
    return number * number


@pytest.mark.parametrize("workers", [0, 2])
def test_results_keep_the_order(workers: int) -> None:
    assert list(ordered_map(square, range(300), workers)) == [n * n for n in range(300)]


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_in_nothing_out(workers: int) -> None:
    assert list(ordered_map(square, [], workers)) == []


def test_workers_are_other_processes() -> None:
    assert os.getpid() not in set(ordered_map(_process, range(4), 2))


def _process(_: int) -> int:
    return os.getpid()


@dataclass
class Loading:
    """Something that is slow to load, which each process should do once."""

    loaded: int = 0

    def __getstate__(self) -> dict[str, int]:
        return {"loaded": 0}

    def load(self, _: int) -> tuple[int, int]:
        self.loaded += 1
        return os.getpid(), self.loaded


def test_what_a_process_has_loaded_stays_there() -> None:
    seen = list(ordered_map(Loading().load, range(200), 2))
    for process in {process for process, _ in seen}:
        numbers = [number for of, number in seen if of == process]
        assert numbers == list(range(1, len(numbers) + 1))


def test_work_is_taken_up_only_as_results_are_used() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100_000):
            taken.append(number)
            yield number

    results = ordered_map(square, numbers(), 2)
    assert next(results) == 0
    assert len(taken) < 1000
    results.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_users_mistake_comes_through_from_any_process(workers: int) -> None:
    with pytest.raises(UserError, match="666 is refused"):
        list(ordered_map(square, [1, 666], workers))
