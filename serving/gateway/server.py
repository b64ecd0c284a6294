"""The gateway's process: serves until SIGTERM, then finishes what it has and ends."""

from __future__ import annotations

import asyncio
import socket
import time
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.gateway.app import create_app
from serving.gateway.doorway import Doorway
from serving.gateway.limits import Gate
from serving.gateway.services import Services
from serving.gateway.settings import Settings

_LAST_ANSWERS_SECONDS = 2
_KEEP_ALIVE_SECONDS = 15
_UNREAD_SECONDS = 30
"""For which a client may read nothing of what is sent to it."""


def run(settings: Settings) -> bool:
    """Serve until SIGTERM or SIGINT; False where the port could not be used.

    Raises UserError where the file of keys or of routes cannot be used.
    """
    server = create(settings)
    listener = settings.listener
    server.run(None if listener is None else [socket.socket(fileno=listener)])
    return server.started


def create(settings: Settings) -> DrainingServer:
    """The server, not yet started."""
    services = Services(settings)
    door = Doorway(create_app(services), services.gate, services.metrics)
    config = uvicorn.Config(
        door,
        host=settings.host,
        port=settings.port,
        loop="asyncio",
        http=_Impatient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    return DrainingServer(config, services.gate, settings.drain_seconds)


class _Impatient(H11Protocol):
    """Closes connections on which nothing moves.

    uvicorn itself would wait for ever for the rest of a request's head, and for a client to read.
    """

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # all that waits here is seen, and waited for
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _cancel(self._head)
        _cancel(self._stalled)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        _cancel(self._stalled)
        self._stalled = self.loop.call_later(_UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stalled)

    def _expect_head(self) -> None:
        _cancel(self._head)
        self._head = self.loop.call_later(_KEEP_ALIVE_SECONDS, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        working = self.cycle is not None and not self.cycle.response_complete
        if not working and not self.transport.is_closing():
            self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class DrainingServer(uvicorn.Server):
    """On a signal it goes on listening, so that /readyz can say 503, until nothing is inside.

    A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, gate: Gate, patience: float) -> None:
        super().__init__(config)
        self._gate = gate
        self._patience = patience
        self._end = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._gate.closing:
            self.should_exit = self.force_exit = True
        self._gate.close()
        self._end = time.monotonic() + self._patience

    async def on_tick(self, counter: int) -> bool:
        ended = await super().on_tick(counter)
        drained = self._gate.closing and self._gate.empty
        return ended or drained or time.monotonic() > self._end
