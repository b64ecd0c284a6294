from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparnet import config
from sparnet.training.distributed import ALONE
from sparnet.training.history import History
from sparnet.training.ledger import Ledger
from sparnet.training.state import ResumeStore


class AppleWithoutDouble(TorchDispatchMode):
    """Refuses what Apple's devices refuse: float64."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], _: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given, made = (
            [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
            for tree in ((args, kwargs), result)
        )
        on_device = any(tensor.device.type == "mps" for tensor in given + made)
        if on_device and any(tensor.dtype == torch.float64 for tensor in made):
            raise TypeError(f"{func}: mps has no float64")
        return result


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def ledger(history: History, params: config.Params, tmp_path: Path) -> Ledger:
    return Ledger(history, params.train_sparnet, ResumeStore(tmp_path, {}), ALONE)


def test_terms_are_read_from_a_device_without_double_precision(ledger: Ledger) -> None:
    with FakeTensorMode(), AppleWithoutDouble():
        for _ in range(2):
            ledger.add({name: torch.ones((), device="mps") for name in ("pixel", "total")})
        # Fake tensors have all but values: this is raised where these are taken from the CPU.
        with pytest.raises(DataDependentOutputException):
            ledger.read()


def test_terms_are_summed_in_double_precision(ledger: Ledger, history: History) -> None:
    values = torch.tensor([1e8, 1.0, 0.1])
    for value in values:
        ledger.add({"pixel": value})
    ledger.read()
    assert history.sums == {"pixel": sum(values.tolist())}


def test_terms_of_several_precisions_are_read_exactly(ledger: Ledger, history: History) -> None:
    terms = {
        name: torch.tensor(1 / 3, dtype=getattr(torch, name))
        for name in ("bfloat16", "float32", "float64")
    }
    ledger.add(terms)
    ledger.read()
    assert history.sums == {name: term.item() for name, term in terms.items()}
