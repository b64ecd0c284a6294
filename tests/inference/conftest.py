from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Done

from sparnet import cli


@pytest.fixture
def enhance(
    tmp_path: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., Done]:
    """Run the command in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Done:
        line = ["sparnet", "enhance", *map(str, arguments), "--model", str(weights)]
        monkeypatch.setattr(sys, "argv", line)
        try:
            code = cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capfd.readouterr())

    return call
