"""The page at `/`, where a person drops a photograph and sees its faces restored.

Its files are fixed and public; the page itself asks for a key, as every client has to.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

SAMPLE = "sample.png"

FOLDER = Path(__file__).with_suffix("")
_INDEX = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
NAMES = {
    *("style.css", "icon.svg", SAMPLE),
    *("page.js", "api.js", "dom.js", "intake.js", "key.js", "options.js", "result.js", "words.js"),
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
def index(request: Request) -> Response:
    """The page."""
    return _file(_INDEX, request)


@router.get("/page/{name}")
def static(request: Request, name: str) -> Response:
    """A file of the page; 404 for any other name."""
    if name not in NAMES:
        raise HTTPException(404)
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    content = _content(name)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = _HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_MEDIA_TYPES[Path(name).suffix])


@cache
def _content(name: str) -> bytes:
    if name == SAMPLE:  # NASA's photograph of Eileen Collins is in the public domain
        return resources.files("skimage.data").joinpath("astronaut.png").read_bytes()
    return (FOLDER / name).read_bytes()
