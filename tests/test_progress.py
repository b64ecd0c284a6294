from __future__ import annotations

import pytest

from sparnet import progress as module
from sparnet.progress import progress


def test_items_pass_unchanged_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("letters: 3 in ")


def test_lines_tell_count_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    list(progress(range(4), 4, "work"))
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith("work: 1/4, ")
    assert first.endswith(" s left")
    assert last.startswith("work: 4 in ")
