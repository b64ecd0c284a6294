"""The supervisor's own interface, on a loopback port: what serves, and how that changes.

A change is answered as lines of JSON: `{"step": ...}` while it goes on, and in the end
`{"done": ...}` or `{"error": ...}`.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from serving.control.audit import Audit
from serving.control.fleet import Fleet, Tell
from serving.gateway.keys import Key, KeyRing
from serving.protocol import PROBLEM_TYPE, Problem
from sparnet.errors import UserError

NDJSON = "application/x-ndjson"

Change = Callable[[Tell], dict[str, Any]]

_LONGEST_ORDER = 64 << 10

router = APIRouter()


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Deployment(_Order):
    archive: Path = Field(description="absolute path on this machine")
    keep_old: bool = False


class Rollback(_Order):
    model: str
    keep_old: bool = False


class EndOfTrial(_Order):
    model: str


class Trial(_Order):
    archive: Path
    role: Literal["canary", "shadow"]
    percent: float


class Admin:
    """A web server in a thread of its own."""

    def __init__(self, fleet: Fleet, ring: KeyRing, audit: Audit, listener: socket.socket) -> None:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.state.fleet, app.state.ring, app.state.audit = fleet, ring, audit
        app.include_router(router)
        app.middleware("http")(_guarded)
        config = uvicorn.Config(
            app, http="h11", log_config=None, access_log=False, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="admin", daemon=True
        )
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        self._server.should_exit = True
        self._thread.join(patience)


async def _guarded(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Look at the key and the length first: the framework would read the body before both."""
    try:
        request.state.key = _key(request)
        _check_length(request)
    except Problem as problem:
        return Response(problem.body(), int(problem.status), media_type=PROBLEM_TYPE)
    return await answer(request)


def _key(request: Request) -> Key:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    ring: KeyRing = request.app.state.ring
    key = ring.find(text) if kind.lower() == "bearer" else None
    if not key:
        raise Problem(HTTPStatus.UNAUTHORIZED, "send a valid key (Authorization: Bearer KEY)")
    if "admin" not in key.scopes:
        raise Problem(HTTPStatus.FORBIDDEN, "this key does not have the scope admin")
    return key


def _check_length(request: Request) -> None:
    if "transfer-encoding" in request.headers:
        raise Problem(HTTPStatus.LENGTH_REQUIRED, "send the order with its Content-Length")
    if int(request.headers.get("content-length", 0)) > _LONGEST_ORDER:  # h11 lets only digits in
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "an order is shorter")


@router.get("/v1/status")
def status(request: Request) -> JSONResponse:
    return JSONResponse({"models": _fleet(request).status()})


@router.post("/v1/deploy")
def deploy(request: Request, order: Deployment) -> StreamingResponse:
    def change(tell: Tell) -> dict[str, Any]:
        return _fleet(request).deploy(order.archive, order.keep_old, tell)

    return _carried_out(request, "deploy", order, change)


@router.post("/v1/rollback")
def rollback(request: Request, order: Rollback) -> StreamingResponse:
    def change(tell: Tell) -> dict[str, Any]:
        return _fleet(request).rollback(order.model, order.keep_old, tell)

    return _carried_out(request, "rollback", order, change)


@router.post("/v1/trial")
def begin_trial(request: Request, order: Trial) -> StreamingResponse:
    def change(tell: Tell) -> dict[str, Any]:
        return _fleet(request).begin_trial(order.archive, order.role, order.percent, tell)

    return _carried_out(request, order.role, order, change)


@router.post("/v1/trial/end")
def end_trial(request: Request, order: EndOfTrial) -> StreamingResponse:
    def change(tell: Tell) -> dict[str, Any]:
        return _fleet(request).end_trial(order.model, tell)

    return _carried_out(request, "end trial", order, change)


def _fleet(request: Request) -> Fleet:
    fleet: Fleet = request.app.state.fleet
    return fleet


def _carried_out(request: Request, action: str, order: _Order, change: Change) -> StreamingResponse:
    """Make the change in a thread, which ends it whether or not the client goes on listening."""
    key: Key = request.state.key
    lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    audit: Audit = request.app.state.audit
    facts = order.model_dump(mode="json")

    def work() -> None:
        done: dict[str, Any] = {}
        failed = ""
        try:
            done = change(lambda text: lines.put({"step": text}))
        except UserError as error:
            failed = str(error)
        except Exception as error:
            traceback.print_exc()
            failed = f"{action} failed: {error!r}"
        try:
            audit.write(f"{key.name} {key.id}", action, failed or "done", **facts | done)
        except OSError:
            traceback.print_exc()
        lines.put({"error": failed} if failed else {"done": done})

    threading.Thread(target=work, name=action).start()
    return StreamingResponse(_told(lines), media_type=NDJSON)


def _told(lines: queue.SimpleQueue[dict[str, Any]]) -> Iterator[str]:
    while True:
        line = lines.get()
        yield json.dumps(line) + "\n"
        if "step" not in line:
            return
