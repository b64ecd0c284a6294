from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from sparnet.remote.retrying import Patience, Waits, retry_after


def busy(seconds: int) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": str(seconds)})


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5", "²", "Thu, 99 Foo 2026"])
def test_what_says_no_time_counts_as_not_there(header):
    assert retry_after(header) is None


def test_seconds_and_dates_are_understood():
    assert retry_after(" 7 ") == 7
    for hours, expected in ((1, 3600), (-1, 0)):
        date = email.utils.format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
        assert retry_after(date) == pytest.approx(expected, abs=60)


def test_what_is_told_is_waited_for_and_a_little_more():
    waits = Waits(Patience())
    found = [waits.after(busy(8)) for _ in range(20)]
    assert all(wait is not None and 8 <= wait <= 10.1 for wait in found)
    assert len(set(found)) > 1


def test_waits_that_nobody_told_grow_up_to_a_limit():
    waits = Waits(Patience(unanswered=100.0))
    found = [waits.after(None) or 0.0 for _ in range(12)]
    assert found[0] <= 0.25
    assert found[0] < found[2] < found[4]
    assert all(2 <= wait <= 4 for wait in found[6:])


def test_attempts_end():
    waits = Waits(Patience(attempts=3))
    assert [waits.after(busy(1)) is None for _ in range(3)] == [False, False, True]


def test_nobody_waits_beyond_the_patience():
    assert Waits(Patience(seconds=5.0)).after(busy(6)) is None
    assert Waits(Patience(unanswered=0.1)).after(None) is None
    assert Waits(Patience(unanswered=0.1)).after(busy(6)) is not None
