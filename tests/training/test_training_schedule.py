from __future__ import annotations

import pytest

from sparnet.config import Schedule
from sparnet.training.schedule import share


def shares(schedule: Schedule, steps: int) -> list[float]:
    return [share(schedule, step, steps) for step in range(steps)]


def test_the_rate_is_constant_by_default() -> None:
    assert shares(Schedule(), 3) == [1.0, 1.0, 1.0]


def test_the_rate_rises_linearly_while_warming_up() -> None:
    assert shares(Schedule(warmup_steps=4), 5) == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_line_falls_to_the_final_share_at_the_last_step() -> None:
    assert shares(Schedule(name="linear", final=0.2), 5) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_a_cosine_falls_to_the_final_share_at_the_last_step() -> None:
    assert shares(Schedule(name="cosine", warmup_steps=1), 4) == pytest.approx([1, 1, 0.5, 0])
    assert shares(Schedule(name="cosine", final=0.5), 3) == pytest.approx([1, 0.75, 0.5])


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_a_training_as_long_as_its_warm_up_never_exceeds_the_base_rate(name: str) -> None:
    schedule = Schedule.model_validate({"name": name, "warmup_steps": 3})
    for steps in (1, 2, 3, 4):
        assert all(0 <= value <= 1 for value in shares(schedule, steps))
