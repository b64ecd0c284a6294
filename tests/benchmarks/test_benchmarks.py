from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import fakes, loss_curve
from benchmarks.__main__ import TOPICS, main


@pytest.fixture(autouse=True)
def _torch_as_before() -> Iterator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture
def committed() -> loss_curve.Curves:
    curves: loss_curve.Curves = json.loads(loss_curve.COMMITTED.read_text())
    return curves


@pytest.mark.parametrize("name", TOPICS)
def test_every_benchmark_runs_in_its_quick_size(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--device", "cpu", name]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(TOPICS)


def test_an_unknown_name_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spede"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'spede'" in told
    assert ", ".join(TOPICS) in told


def test_a_changed_learning_rate_is_noticed(committed: loss_curve.Curves) -> None:
    changed = loss_curve.curves(1, loss_curve.parameters(lr=1.01e-3))
    largest, _ = loss_curve.deviation(changed, committed)
    assert largest > 100 * loss_curve.TOLERANCE


def test_a_missing_term_is_noticed(committed: loss_curve.Curves) -> None:
    found = {term: values for term, values in committed.items() if term != "sparnethd/identity"}
    assert loss_curve.deviation(found, committed) == (float("inf"), "sparnethd/identity")


def test_losses_that_have_moved_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
    committed: loss_curve.Curves,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    moved = {term: [1.01 * value for value in values] for term, values in committed.items()}
    monkeypatch.setattr(loss_curve, "COMMITTED", tmp_path / "curve.json")
    monkeypatch.setattr(loss_curve, "curves", lambda _: moved)
    loss_curve.COMMITTED.write_text(json.dumps(committed))
    assert main(["loss_curve"]) == 2
    assert "the losses have moved" in capsys.readouterr().err
    assert main(["loss_curve", "--update"]) == 0
    assert main(["loss_curve"]) == 0


def test_memory_is_counted_while_a_tensor_lives() -> None:
    with fakes.counting() as live:
        kept = torch.empty(1000)
        seen = kept[:10].view(2, 5)
        gone = kept + 1
        assert live.now == 8000
        del gone
        assert (live.now, live.peak) == (4000, 8000)
        del kept
        assert live.now == 4000
        del seen
        assert live.now == 0


def test_what_the_graph_keeps_is_counted() -> None:
    with torch.device("meta"):
        layer = nn.Linear(10, 10, bias=False)
    with fakes.counting() as live:
        fakes.materialise(layer)
        kept_input = layer(torch.empty(100, 10)).relu()
        assert live.now == 400 + 4000 + 4000
        del kept_input
        assert live.now == 400
