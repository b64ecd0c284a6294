"""Shadow traffic: a second version gets a client's picture too, and the client does not notice."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import cv2

from serving.gateway.limits import Gate
from serving.gateway.metrics import Metrics
from serving.gateway.problems import Refusal
from serving.gateway.upstream import Restored, Upstream
from serving.protocol import Options
from serving.routes import ServedModel
from sparnet import images
from sparnet.errors import UserError

_AT_ONCE = 1
"""Shadows cost what requests cost, so more of them would slow the clients down."""


class Shadows:
    """Measures what a shadow makes of the pictures of clients: seconds, outcome, difference."""

    def __init__(self, gate: Gate, upstream: Upstream, metrics: Metrics) -> None:
        self._gate = gate
        self._upstream = upstream
        self._metrics = metrics
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, model: ServedModel, picture: bytes, options: Options, main: Restored) -> None:
        """Ask `model` as well, in the background; nobody is asked while it is busy or closing."""
        if len(self._running) >= _AT_ONCE or self._gate.closing:
            return
        task = asyncio.create_task(self._compare(model, picture, options, main))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Drop what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(
        self, model: ServedModel, picture: bytes, options: Options, main: Restored
    ) -> None:
        start, status, difference = time.monotonic(), int(HTTPStatus.OK), None
        with self._metrics.inside(model):
            try:
                shadow = await self._upstream.restore(model, picture, options)
                difference = await asyncio.to_thread(_difference, main.png, shadow.png)
            except Refusal as refusal:
                status = refusal.status
            except (UserError, MemoryError):
                status = HTTPStatus.INTERNAL_SERVER_ERROR
        self._metrics.observe_shadow(model, status, time.monotonic() - start, difference)


def _difference(one: bytes, other: bytes) -> float | None:
    """Mean absolute difference in grey levels; None where the sizes differ."""
    a, b = images.read(one), images.read(other)
    if a.shape != b.shape:
        return None
    return float(cv2.absdiff(a, b).mean())
