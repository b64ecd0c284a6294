"""A worker's context without TorchServe's front end, and what a handler answers in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ts.context import Context, RequestProcessor

from serving.handler import SparnetHandler
from serving.protocol import Options, unpack
from sparnet import images

ALIGNED = Options(aligned=True).header()

Answer = Callable[..., tuple[int, str, bytes]]


def context_of(folder: Path, batch: Iterable[Mapping[str, str]] = ()) -> Any:
    """A worker's context over an unpacked archive; `batch` holds the headers of each request."""
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    settings = yaml.safe_load((folder / "model.yaml").read_text())
    name = manifest["model"]["modelName"]
    context = Context(name, str(folder), manifest, 4, None, "0.12.0", True, None, settings)
    context.request_processor = [RequestProcessor(dict(headers)) for headers in batch]
    context.request_ids = {
        index: f"request-{index}" for index in range(len(context.request_processor))
    }
    return context


def loaded(folder: Path) -> SparnetHandler:
    """The handler of an unpacked archive, ready."""
    handler = SparnetHandler()
    handler.initialize(context_of(folder))
    return handler


def changed(folder: Path, **settings: object) -> Path:
    """The unpacked archive, with other settings of its handler."""
    content = yaml.safe_load((folder / "model.yaml").read_text())
    content["handler"] |= settings
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    return folder


def answering(handler: SparnetHandler, folder: Path) -> Answer:
    """Answers one request: (status, content type, body)."""

    def one(body: object, **headers: str) -> tuple[int, str, bytes]:
        context = context_of(folder, [{k.replace("_", "-"): v for k, v in headers.items()}])
        [content] = handler.handle([{"body": body}], context)
        return context.get_response_status(0)[0], context.get_response_content_type(0), content

    return one


def picture_of(frame: bytes) -> images.Picture:
    """The restored picture in a good answer."""
    return images.read(unpack(frame)[1])
