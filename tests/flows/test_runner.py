from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import runner

STUBBORN = (
    "trap '' INT TERM; sh -c 'trap \"\" INT TERM; echo $$; while :; do sleep 60; done' & wait"
)


class Stop(Exception):
    pass


def output(command: str, folder: Path | None = None) -> list[str]:
    lines: list[str] = []
    assert runner.run(["sh", "-c", command], lines.append, folder) == 0
    return lines


def test_every_line_is_handed_on_and_the_status_returned(tmp_path: Path) -> None:
    lines: list[str] = []
    status = runner.run(["sh", "-c", "echo out; echo err >&2; pwd; exit 3"], lines.append, tmp_path)
    assert status == 3
    assert lines == ["out", "err", str(tmp_path)]


def test_progress_drawn_over_itself_comes_line_by_line() -> None:
    assert output(r"printf '1/2\r2/2\n'") == ["1/2", "2/2"]


def test_the_child_finds_this_interpreter_first() -> None:
    assert output("command -v python") == [str(Path(sys.executable).parent / "python")]


@pytest.mark.parametrize(
    "variable", ["DO_NOT_TRACK", "DVC_NO_ANALYTICS", "MLFLOW_DISABLE_TELEMETRY"]
)
def test_telemetry_is_off_whatever_the_environment_says(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = runner.QUIET[variable]
    monkeypatch.setenv(variable, "")
    assert output(f"echo ${variable}") == [expected]


def test_the_child_has_a_session_of_its_own() -> None:
    session = output(f"{sys.executable} -c 'import os; print(os.getsid(0))'")
    assert int(session[0]) != os.getsid(0)


def first_line_then_stop(command: str) -> int:
    """Run until the first line, a process id, raises; returns it."""
    lines: list[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        raise Stop

    with pytest.raises(Stop):
        runner.run(["sh", "-c", command], stop)
    return int(lines[0])


def test_an_exception_ends_the_child_and_its_children(running: Callable[[int], bool]) -> None:
    assert not running(first_line_then_stop("sh -c 'echo $$; sleep 300'; true"))


def test_who_ignores_the_polite_signals_is_killed(
    running: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = tuple((number, 0.3) for number, _ in runner.PATIENCE)
    monkeypatch.setattr(runner, "PATIENCE", impatient)
    assert not running(first_line_then_stop(STUBBORN))


def test_the_first_signal_is_that_of_ctrl_c(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    first_line_then_stop(f"trap 'echo done > {saved}; exit' INT; echo $$; while :; do :; done")
    assert saved.read_text() == "done\n"


def test_it_ends_before_prefect_loses_patience() -> None:
    assert sum(seconds for _, seconds in runner.PATIENCE) < 30
    assert runner.PATIENCE[-1][0] == signal.SIGKILL
