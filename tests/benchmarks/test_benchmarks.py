from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks import fakes, loss_curve
from benchmarks.__main__ import TOPICS, main


@pytest.fixture(autouse=True)
def _torch_as_before():
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture(scope="module")
def curves() -> loss_curve.Curves:
    return loss_curve.curves(1)


@pytest.mark.parametrize("name", TOPICS)
def test_every_benchmark_runs_in_its_quick_size(name, capsys):
    assert main(["--quick", "--device", "cpu", name]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_the_list_names_every_benchmark(capsys):
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(TOPICS)


def test_an_unknown_name_is_told_with_the_known_ones(capsys):
    assert main(["spede"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'spede'" in told
    assert "speed, training" in told


def test_the_same_losses_are_found_again(curves):
    committed = json.loads(loss_curve.COMMITTED.read_text())
    largest, _ = loss_curve.deviation(curves, committed)
    assert largest <= loss_curve.TOLERANCE


def test_a_changed_learning_rate_is_noticed(curves):
    changed = loss_curve.curves(1, loss_curve.parameters(lr=1.01e-3))
    largest, _ = loss_curve.deviation(changed, curves)
    assert largest > loss_curve.TOLERANCE


def test_a_missing_term_is_noticed(curves):
    found = {term: values for term, values in curves.items() if term != "sparnethd/identity"}
    assert loss_curve.deviation(found, curves) == (float("inf"), "sparnethd/identity")


def test_memory_is_counted_while_a_tensor_lives():
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


def test_what_the_graph_keeps_is_counted():
    with torch.device("meta"):
        layer = nn.Linear(10, 10, bias=False)
    with fakes.counting() as live:
        fakes.materialise(layer)
        kept_input = layer(torch.empty(100, 10)).relu()
        assert live.now == 400 + 4000 + 4000
        del kept_input
        assert live.now == 400
