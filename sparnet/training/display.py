"""The progress of a training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from sparnet.training.history import Row


class Display:
    """Shows steps of `steps`, from `start` on, with the loss, the rate and the time left.

    A `silent` one only keeps the time.
    """

    def __init__(
        self, label: str, start: int, steps: int, batch_size: int, silent: bool = False
    ) -> None:
        self._label = label
        self._silent = silent
        self._steps = steps
        self._batch_size = batch_size
        self._step = start
        self._began, self._began_step = time.monotonic(), start
        self._shown, self._shown_step = self._began, start
        self._bar = (
            tqdm(total=steps, initial=start, desc=label, unit="step", dynamic_ncols=True)
            if sys.stderr.isatty() and not silent
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        self._step += 1
        if self._bar is not None:
            self._bar.update()

    def images_per_second(self) -> float:
        """Pictures trained on a second, everything included, since this was last called."""
        now = time.monotonic()
        done = (self._step - self._shown_step) * self._batch_size
        rate = done / max(now - self._shown, 1e-9)
        self._shown, self._shown_step = now, self._step
        return rate

    def row(self, row: Row, rate: float) -> None:
        """Show a logged row: beside the bar, or as a line."""
        loss = row.get("total", row.get("pixel", math.nan))
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.4f}")
            return
        elapsed = time.monotonic() - self._began
        left = elapsed / max(1, self._step - self._began_step) * (self._steps - self._step)
        self.say(
            f"{self._step}/{self._steps} loss {loss:.4f}, {rate:.1f} images/s, {left:.0f} s left"
        )

    def say(self, text: str) -> None:
        if self._silent:
            return
        if self._bar is not None:
            self._bar.write(f"{self._label}: {text}", file=sys.stderr)
        else:
            print(f"{self._label}: {text}", file=sys.stderr, flush=True)
