"""The progress of a training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from sparnet.training.history import Row


class Display:
    """Shows steps of `steps`, from `start` on, with the loss, the rate and the time left."""

    def __init__(self, label: str, start: int, steps: int, batch_size: int) -> None:
        self._label = label
        self._steps = steps
        self._batch_size = batch_size
        self._step = start
        self._began, self._began_step = time.monotonic(), start
        self._shown, self._shown_step = self._began, start
        self._bar = (
            tqdm(total=steps, initial=start, desc=label, unit="step", dynamic_ncols=True)
            if sys.stderr.isatty()
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

    def advance(self, loss: float) -> None:
        self._step += 1
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

    def images_per_second(self) -> float:
        """Pictures trained on a second, everything included, since this was last called."""
        now = time.monotonic()
        done = (self._step - self._shown_step) * self._batch_size
        rate = done / max(now - self._shown, 1e-9)
        self._shown, self._shown_step = now, self._step
        return rate

    def row(self, row: Row, rate: float) -> None:
        """Where there is no bar: a line of a logged row."""
        if self._bar is not None:
            return
        elapsed = time.monotonic() - self._began
        left = elapsed / max(1, self._step - self._began_step) * (self._steps - self._step)
        loss = row.get("total", row["pixel"])
        self.say(
            f"{self._step}/{self._steps} loss {loss:.4f}, {rate:.1f} images/s, {left:.0f} s left"
        )

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(f"{self._label}: {text}", file=sys.stderr)
        else:
            print(f"{self._label}: {text}", file=sys.stderr, flush=True)
