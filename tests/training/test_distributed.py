from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

SCRIPT = Path(__file__).with_name("two_processes.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run_script(command: list[str], model: str, out: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(SCRIPT), model, str(out)], check=True, env=environment)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def set_compute(project: Path, **settings: Any) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["compute"] |= settings
    path.write_text(yaml.safe_dump(params))


def start_stage(model: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"sparnet.stages.train_{model}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_two_processes_follow_one(model: str, project: Path) -> None:
    run_script([sys.executable], model, project / "one")
    run_script(TORCHRUN, model, project / "two")
    one, two = read(project / "one.0.json"), read(project / "two.0.json")
    for alone, together in zip(one["rows"], two["rows"], strict=True):
        assert together == pytest.approx(alone, rel=1e-5)
    shares = [two["keys"], read(project / "two.1.json")["keys"]]
    both = [first + second for first, second in zip(*shares, strict=True)]
    assert both == one["keys"]


def test_no_picture_is_missed_or_taken_twice_in_an_epoch(project: Path) -> None:
    run_script(TORCHRUN, "sparnet", project / "two")
    keys = [
        tuple(key)
        for rank in (0, 1)
        for step in read(project / f"two.{rank}.json")["keys"]
        for key in step
    ]
    taken = Counter(key for key in keys if key[1] < 6)
    assert taken == Counter({(index, epoch): 1 for index in range(13) for epoch in range(6)})


def test_the_stage_trains_in_two_processes_and_one_writes(project: Path) -> None:
    set_compute(project, processes=2)
    process = start_stage("sparnet")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors.count("train_sparnet: 6/6 loss") == 1
    assert (project / "models/sparnet/best.safetensors").exists()
    assert not (project / ".state/train_sparnet").exists()


def test_sigterm_saves_once_and_the_training_goes_on(project: Path) -> None:
    set_compute(project, processes=2)
    process = start_stage("sparnethd")
    assert process.stderr is not None
    for line in process.stderr:
        if "train_sparnethd: 1/6" in line:
            process.send_signal(signal.SIGTERM)
            break
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 143
    assert errors.count("the state is saved, `dvc repro` goes on from there") == 1
    assert "Traceback" not in errors
    again = start_stage("sparnethd")
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0
    assert errors.count("goes on after step") == 1


@pytest.mark.parametrize(
    ("compute", "line"),
    [
        ({"processes": 300}, "batch_size is 2: it must be a multiple of the 300 processes"),
        pytest.param(
            {"processes": 2, "device": "cuda"},
            "not on this machine",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_mistakes_with_processes_are_one_line(
    compute: dict[str, Any], line: str, project: Path
) -> None:
    set_compute(project, **compute)
    process = start_stage("sparnet")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert len(errors.splitlines()) == 1, errors
    assert line in errors
