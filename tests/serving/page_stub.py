"""The page's gateway as a browser sees it, with answers that a test chooses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image, ImageOps

from serving.gateway import page
from serving.gateway.doorway import Doorway
from serving.gateway.limits import Gate
from serving.gateway.metrics import Metrics
from serving.protocol import PROBLEM_TYPE

KEY = "0123456789ab.secret"
MODELS = [
    {
        "name": name,
        "version": version,
        "side": side,
        "attention": side <= 128,
        "default": side == 512,
    }
    for name, version, side in [
        ("sparnet", "0123456789ab", 128),
        ("sparnethd", "ba9876543210", 512),
    ]
]
BOX = (0.34, 0.12, 0.54, 0.40)
"""Of the face that every picture has, in parts of its width and height."""

_WAIT = 10.0


@dataclass
class Stub:
    """`told` holds what goes wrong with the next pictures; `asked` what was wished with each."""

    url: str = ""
    key: str = KEY
    told: deque[tuple[int, str, dict[str, str]] | str] = field(default_factory=deque)
    asked: list[dict[str, str]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def opened(self) -> str:
        """The address of the page with its key."""
        return f"{self.url}/#key={self.key}"

    def forget(self) -> None:
        self.key = KEY
        self.told.clear()
        self.asked.clear()
        self.go_on.clear()


def create(stub: Stub) -> FastAPI:
    app = FastAPI()
    app.include_router(page.router)

    @app.get("/v1/models")
    def models(request: Request) -> Response:
        return _refused(stub, request) or JSONResponse({"models": MODELS})

    @app.post("/v1/enhance")
    @app.post("/v1/faces")
    async def restore(request: Request) -> Response:
        body = await request.body()
        stub.asked.append({"path": request.url.path, **request.query_params})
        refusal = _refused(stub, request) or await asyncio.to_thread(_told, stub)
        return refusal or JSONResponse(_restored(request, body))

    return app


@contextlib.contextmanager
def running() -> Iterator[Stub]:
    stub = Stub()
    gate = Gate(capacity=8)
    config = uvicorn.Config(
        Doorway(create(stub), gate, Metrics(gate)), log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stub.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield stub
        finally:
            stub.go_on.set()
            server.should_exit = True
            thread.join()


def _told(stub: Stub) -> Response | None:
    told = stub.told.popleft() if stub.told else None
    if told == "waits":
        stub.go_on.wait(_WAIT)
        return None
    return None if told is None else problem(*told)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    content = {"status": status, "detail": detail, "request_id": "4f1e2c8f"}
    return JSONResponse(content, status, headers, PROBLEM_TYPE)


def _refused(stub: Stub, request: Request) -> Response | None:
    if request.headers.get("authorization") == f"Bearer {stub.key}":
        return None
    return problem(401, "send a valid key (Authorization: Bearer KEY)")


def _restored(request: Request, body: bytes) -> dict[str, Any]:
    """The picture with its colours turned round, and the one face that all pictures have."""
    asked = request.query_params
    aligned = request.url.path == "/v1/faces"
    with Image.open(io.BytesIO(body)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    width, height = upright.size
    factor = int(asked.get("upscale", 1))
    size = (128, 128) if aligned else (width * factor, height * factor)
    model = next(model for model in MODELS if model["name"] == asked["model"])
    sheet = _base64(Image.new("RGB", (320, 320), "navy"))
    return {
        "model": model["name"],
        "version": model["version"],
        "width": size[0],
        "height": size[1],
        "faces": [_whole(width, height) if aligned else _face(width, height)],
        "left": [] if aligned else [{"confidence": 0.12, "reason": "blurred"}],
        **({"attention": [sheet]} if asked.get("attention") == "true" else {}),
        "picture": {
            "media_type": "image/png",
            "base64": _base64(ImageOps.invert(upright).resize(size)),
        },
    }


def _face(width: int, height: int) -> dict[str, Any]:
    box = [part * side for part, side in zip(BOX, (width, height) * 2, strict=True)]
    return {"box": box, "points": None, "score": 0.9, "confidence": 0.64, "reason": "small"}


def _whole(width: int, height: int) -> dict[str, Any]:
    box = [0, 0, width, height]
    return {"box": box, "points": None, "score": None, "confidence": None, "reason": None}


def _base64(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
