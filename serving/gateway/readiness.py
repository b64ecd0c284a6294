"""Whether the models restore pictures now, found out without asking them all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

from serving import smoke
from serving.gateway.problems import Refusal
from serving.gateway.upstream import Upstream
from serving.protocol import Options
from serving.routes import ServedModel

_READY = "ready"
_COST = 20  # a probe's proof holds for this many times its own duration


class Readiness:
    """A model that has just restored a picture is ready; another is given a tiny one."""

    def __init__(
        self, seconds: float, upstream: Upstream, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """seconds: for which a restored picture, or a failure, tells of a model."""
        self._seconds = seconds
        self._upstream = upstream
        self._clock = clock
        self._known: dict[ServedModel, tuple[float, str]] = {}
        self._probing = asyncio.Lock()
        self._picture = smoke.picture()

    def restored(self, model: ServedModel) -> None:
        """A client's picture came back."""
        self._prove(model, self._seconds)

    def failed(self, model: ServedModel) -> None:
        """The model is not ready until it has restored a picture again."""
        self._known.pop(model, None)

    async def check(self, models: Iterable[ServedModel]) -> dict[str, str]:
        """For each model "ready" or what is wrong; one probe at a time."""
        async with self._probing:
            return {model.name: await self._state(model) for model in models}

    async def _state(self, model: ServedModel) -> str:
        until, state = self._known.get(model, (-1.0, ""))
        if self._clock() < until:
            return state
        start = self._clock()
        try:
            await self._upstream.restore(model, self._picture, Options(aligned=True))
        except Refusal as refusal:
            if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:  # it has more than enough to restore
                return _READY
            self._known[model] = self._clock() + self._seconds, refusal.detail
            return refusal.detail
        self._prove(model, max(self._seconds, _COST * (self._clock() - start)))
        return _READY

    def _prove(self, model: ServedModel, seconds: float) -> None:
        before, state = self._known.get(model, (-1.0, ""))
        until = self._clock() + seconds
        self._known[model] = max(until, before) if state == _READY else until, _READY
