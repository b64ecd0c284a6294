"""The terms of steps made: read from the device in bulk, checked, gathered in the history."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sparnet.config import Training
from sparnet.errors import UserError
from sparnet.training.distributed import World
from sparnet.training.history import History
from sparnet.training.objectives import Terms
from sparnet.training.state import ResumeStore


class Diverged(UserError):
    """A loss or gradient is not finite, and the settings do not allow to go on."""


class Ledger:
    """Terms that were not read yet. Reading waits for the device, so it is done in bulk."""

    def __init__(
        self, history: History, settings: Training, store: ResumeStore, world: World
    ) -> None:
        self._history = history
        self._skips = settings.on_divergence == "skip"
        self._max_skipped = settings.max_skipped
        self._store = store
        self._world = world
        self._unread: list[tuple[int, list[str], Tensor]] = []

    def add(self, terms: Terms) -> None:
        """Note the terms of the history's present step."""
        values = torch.stack(list(terms.values()))
        self._unread.append((self._history.step, list(terms), values))

    def read(self) -> None:
        """Gather all steps noted, as means over the processes.

        Raises Diverged at the first step that is not finite, where the settings say stop, or at
        one too many in a row, where they say skip.
        """
        if not self._unread:
            return
        values = self._world.mean(torch.stack([row for _, _, row in self._unread])).tolist()
        unread, self._unread = self._unread, []
        for (step, names, _), row in zip(unread, values, strict=True):
            terms = dict(zip(names, row, strict=True))
            culprit = next((name for name in names if not math.isfinite(terms[name])), None)
            if culprit is None:
                self._history.gather(terms)
            else:
                self._diverge(step, culprit, terms)

    def _diverge(self, step: int, culprit: str, terms: Mapping[str, float]) -> None:
        self._history.skip()
        in_a_row = self._history.skipped_in_a_row
        if self._skips and in_a_row <= self._max_skipped:
            return
        last = self._store.last_step
        good = "no good state was saved" if last is None else f"the last good state is of {last}"
        more = f", {in_a_row} in a row" if self._skips else ""
        raise Diverged(
            f"step {step}: {culprit} is {terms[culprit]}{more}; lower optimizer.lr, set "
            f"clip_gradient_norm or precision: float32 ({good}, in {self._store.folder})"
        )
