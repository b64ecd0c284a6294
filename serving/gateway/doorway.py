"""The frame around every request: its id, its line in the log, and what every answer carries."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway import logs
from serving.gateway.limits import Gate
from serving.gateway.metrics import Metrics
from serving.gateway.visit import REQUEST_ID, Visit

_LINGER_SECONDS = 1.0
_PIECE = 64 << 10
_SECURITY = {  # where a route does not say otherwise, as those of the page do
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Doorway:
    """ASGI middleware; puts the Visit into the request's state as `visit`."""

    def __init__(self, app: ASGIApp, gate: Gate, metrics: Metrics) -> None:
        self._app = app
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = Visit.of(scope)
        scope.setdefault("state", {})["visit"] = visit
        exchange = _Exchange(visit, scope, receive, send, self._gate)
        with self._gate.visit(visit):
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except Exception:  # the application has answered it
                logs.failure(visit)
            finally:
                self._metrics.observe(visit)
                logs.request(visit)


class _Exchange:
    """The messages of one request, counted, and the answer with the headers of every answer."""

    def __init__(
        self, visit: Visit, scope: Scope, receive: Receive, send: Send, gate: Gate
    ) -> None:
        names = {name for name, _ in scope["headers"]}
        self._visit = visit
        self._receive = receive
        self._send = send
        self._gate = gate
        self._unread = bool(names & {b"content-length", b"transfer-encoding"})

    async def receive(self) -> Message:
        message = await self._receive()
        self._visit.bytes_in += len(message.get("body", b""))
        self._unread = self._unread and bool(message.get("more_body", False))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._visit.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY.items():
                headers.setdefault(name, value)
            headers[REQUEST_ID] = self._visit.request_id
            if self._gate.closing or self._unread:
                headers["Connection"] = "close"
        elif message["type"] == "http.response.body":
            self._visit.bytes_out += len(message.get("body", b""))
            if self._unread and not message.get("more_body", False):
                await self._send({**message, "more_body": True})
                await self._linger()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            message = await self._in_pieces(message)
        await self._send(message)

    async def _in_pieces(self, message: Message) -> Message:
        """Send what is long piece by piece, each as soon as the client has taken the one before.

        The empty rest is sent when it has taken all, so that the request ends no sooner.
        """
        body = message.get("body", b"")
        if len(body) <= _PIECE:
            return message
        for start in range(0, len(body), _PIECE):
            piece = body[start : start + _PIECE]
            await self._send({"type": message["type"], "body": piece, "more_body": True})
        return {**message, "body": b""}

    async def _linger(self) -> None:
        """Take in what is left of a refused body for a moment.

        A connection closed over unread bytes is reset, and the client would lose the answer.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._unread:
                    await self.receive()
