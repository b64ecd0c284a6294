from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml

from sparnet.config import Params
from sparnet.images import encode_png
from sparnet.stages.common import run

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: 24 pictures in `faces`, and the parameters set to read them."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    (tmp_path / "faces").mkdir()
    for index in range(24):
        pixels = generator.integers(0, 256, (70, 64, 3), dtype=np.uint8)
        (tmp_path / "faces" / f"p{index}_0.png").write_bytes(encode_png(pixels))
    params = yaml.safe_load(PARAMS.read_text())
    params["compute"]["workers"] = 0
    params["download"] |= {"source": "folder", "folder": {"path": "faces"}}
    params["prepare"] |= {"sizes": {"sparnet": 32, "sparnethd": 32}, "val": 0.3, "test": 0.3}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def stage(name: str) -> int:
    """Run a stage as `python -m` does; returns its exit code."""
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"sparnet.stages.{name}", run_name="__main__")
    assert isinstance(end.value.code, int)
    return end.value.code


def test_download_and_prepare_write_their_outs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage("download") == 0
    assert stage("prepare") == 0
    shown = capsys.readouterr()
    assert "data/raw: 24 pictures" in shown.out
    assert "data/prepared: 24 kept (train" in shown.out
    assert "prepare: 24 in" in shown.err
    assert sorted(path.name for path in (project / "data").iterdir()) == ["prepared", "raw"]


@pytest.mark.usefixtures("project")
def test_a_stage_out_of_turn_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert stage("prepare") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data/raw/manifest.parquet: missing; ")
    assert error.count("\n") == 1


def test_a_wrong_parameter_is_one_line_and_exit_code_2(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text("sede: 1\n")
    assert stage("download") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: params.yaml: ")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("project")
def test_an_interruption_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: Params) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run(interrupted)
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
