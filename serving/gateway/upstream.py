"""TorchServe as the gateway sees it: one new request for each picture, and what went wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from serving.gateway.limits import RETRY_SECONDS
from serving.gateway.logs import LOG
from serving.gateway.problems import Refusal
from serving.protocol import (
    OPTIONS_HEADER,
    PROBLEM_TYPE,
    BadFrame,
    Head,
    Options,
    unpack,
)
from serving.routes import Routes, ServedModel

_CONNECT_SECONDS = 2.0
_KEEP_ALIVE_SECONDS = 5.0
_ATTEMPTS = 2
_LOSSES = 1
_LOOK_SECONDS = 0.25
_WORKER_DIED = "Worker died"
_NO_PLACE = "has no worker to serve"
_STRANGERS = frozenset({400, 404})
"""Of TorchServe itself, which has been started again and knows neither token nor model yet."""
_PASSED_ON = frozenset({413, 415, 422})


@dataclass(frozen=True)
class Restored:
    """The handler's answer."""

    head: Head
    png: bytes

    @property
    def faces(self) -> int:
        return len(self.head.faces)


class Unreachable(Refusal):
    """TorchServe, or the worker that had the picture, is gone."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE, "the model is starting again", RETRY_SECONDS
        )


class Lost(Unreachable):
    """Whether the picture is still to be answered cannot be known."""


class Busy(Refusal):
    """TorchServe's queue is full."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.TOO_MANY_REQUESTS, "the model is busy; try again", RETRY_SECONDS
        )


class Upstream:
    """Connections to TorchServe's inference port; an asynchronous context manager."""

    def __init__(self, routes: Callable[[], Routes], deadline: float) -> None:
        """routes: where TorchServe is now; deadline: seconds for an answer, a retry included."""
        self._routes = routes
        self._deadline = deadline
        self._client: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def restore(self, model: ServedModel, picture: bytes, options: Options) -> Restored:
        """The restored picture, asked for again once where a worker died over it.

        Raises Refusal for everything else, 504 where there is no answer before the deadline.
        """
        try:
            async with asyncio.timeout(self._deadline):
                return await self._restore(model, picture, options)
        except TimeoutError:
            raise Refusal(
                HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {self._deadline:g} s"
            ) from None

    async def _restore(self, model: ServedModel, picture: bytes, options: Options) -> Restored:
        """Another attempt after a death, and one where TorchServe may have lost the picture.

        A full queue has no place for it at once: what it lost may stand there still.
        """
        deaths = losses = 0
        while True:
            try:
                return await self._unless_lost(model, self._ask(model, picture, options))
            except Busy:
                if not deaths + losses:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)
            except Lost:
                losses += 1
                if losses > _LOSSES:
                    raise
            except Unreachable:
                deaths += 1
                if deaths >= _ATTEMPTS:
                    raise

    async def _unless_lost(
        self, model: ServedModel, asking: Coroutine[Any, Any, Restored]
    ) -> Restored:
        """The answer; raises Lost once a worker is gone that was there when the picture was sent.

        TorchServe forgets pictures that it has taken from its queue when a worker dies at that
        moment, and never answers them.
        """
        before = self._workers(model)
        task = asyncio.create_task(asking)
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
                if before - self._workers(model):
                    raise Lost
            return task.result()
        finally:
            task.cancel()

    def _workers(self, model: ServedModel) -> set[int]:
        return set(self._routes().workers.get(model.version, ()))

    async def _ask(self, model: ServedModel, picture: bytes, options: Options) -> Restored:
        routes = self._routes()
        headers = {
            "Authorization": f"Bearer {routes.token}",
            "Content-Type": "application/octet-stream",
            OPTIONS_HEADER: options.header(),
        }
        url = f"{routes.upstream}/predictions/{model.name}/{model.version}"
        try:
            async with self._client.post(
                url, data=picture, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            raise Unreachable from None
        if answer.status != HTTPStatus.OK:
            refusal = _refusal(answer.status, answer.content_type, content)
            # TorchServe tells of a full queue where there is no worker, too.
            raise Unreachable if isinstance(refusal, Busy) and not self._workers(model) else refusal
        try:
            return Restored(*unpack(content))
        except BadFrame as error:
            LOG.error("%s %s: %s", model.name, model.version, error)
            raise _failed() from None


def _refusal(status: int, content_type: str, content: bytes) -> Refusal:
    """What an answer that is not 200 means for the client."""
    told = _json(content)
    if content_type == PROBLEM_TYPE:
        return _of_handler(status, str(told.get("detail", "")))
    message = str(told.get("message", ""))
    if _WORKER_DIED in message or status in _STRANGERS:
        return Unreachable()
    if _NO_PLACE in message:
        return Busy()
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return _out_of_memory()
    return _failed()


def _of_handler(status: int, detail: str) -> Refusal:
    """The handler's own refusals, in the words of the gateway's interface."""
    if status == HTTPStatus.BAD_REQUEST:  # the header was a picture's, the rest is not
        return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _out_of_memory()
    return Refusal(HTTPStatus(status), detail) if status in _PASSED_ON else _failed()


def _out_of_memory() -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "out of memory; try again", RETRY_SECONDS)


def _failed() -> Refusal:
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the picture was not restored")


def _json(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
