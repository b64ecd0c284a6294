"""The body of a request: read to its end or its limit, whatever its headers promise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.gateway.problems import Refusal

FIELD = "picture"

_FORM = "multipart/form-data"
_RAW = "application/octet-stream"
_LONGEST_BOUNDARY = 70  # RFC 2046
_LONGEST_PART_HEAD = 4 << 10
_MOST_PARTS = 16
_MULTIPART_OVERHEAD = 16 << 10
_PARAMETER = re.compile(r';\s*(?:([^\s;="]+)=("(?:[^"\\]|\\.)*"|[^;"]*))?')


async def picture(
    request: Request, limit: int, seconds: float, hold: Callable[[int], None]
) -> bytes:
    """The bytes of the picture file that was sent: the raw body, or the form's field `picture`.

    `hold` is told of bytes as they come, and may raise. Raises Refusal for another content type,
    for more than `limit` bytes, however they are sent, for a body that is not there after
    `seconds`, and for a form that cannot be read.
    """
    media_type, boundary = _content_type(request.headers.get("content-type"))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the picture without an encoding")
    if media_type == _FORM:
        form = await _read(request, limit + _MULTIPART_OVERHEAD, seconds, hold)
        content = await asyncio.to_thread(_field, form, boundary)
    else:
        content = await _read(request, limit, seconds, hold)
    if len(content) > limit:
        raise _too_large(limit)
    return content


async def _read(request: Request, limit: int, seconds: float, hold: Callable[[int], None]) -> bytes:
    promised = request.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
                hold(len(chunk))
    except (TimeoutError, ClientDisconnect):
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {seconds:g} s"
        ) from None
    return bytes(body)


def _content_type(header: str | None) -> tuple[str, str | None]:
    """Media type and boundary; raises Refusal 415 for what is neither a file nor a form."""
    if not header:
        return _RAW, None
    media_type = header.partition(";")[0].strip().lower()
    if media_type == _FORM:
        return media_type, _parameter(header, "boundary")
    if media_type == _RAW or media_type.startswith("image/"):
        return media_type, None
    raise Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"send the picture file itself as the body (Content-Type: {_RAW}, or none), "
        f"or a form with the field {FIELD} ({_FORM})",
    )


def _field(form: bytes, boundary: str | None) -> bytes:
    if not boundary or len(boundary) > _LONGEST_BOUNDARY or not boundary.isascii():
        raise _bad_form("its boundary is missing or no boundary")
    found = [content for name, content in _parts(form, boundary.encode()) if name == FIELD]
    if len(found) != 1:
        raise _bad_form(f"it needs the field {FIELD} once")
    return found[0]


def _parts(form: bytes, boundary: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Name and content of each part, as RFC 7578 has them: no encodings, no parts within parts."""
    _, *parts = (b"\r\n" + form).split(b"\r\n--" + boundary, _MOST_PARTS + 1)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise _bad_form("it does not end, or has too many parts")
    for part in parts[:-1]:
        end = part.find(b"\r\n\r\n", 0, _LONGEST_PART_HEAD)
        if end < 0 or not part[:end].lstrip(b" \t").startswith(b"\r\n"):
            raise _bad_form("a part has no header, or one that is too long")
        yield _name(part[:end]), part[end + 4 :]


def _name(head: bytes) -> str | None:
    for line in head.split(b"\r\n"):
        key, _, value = line.decode("utf-8", "replace").partition(":")
        if key.strip().lower() == "content-disposition":
            return _parameter(value, "name")
    return None


def _parameter(header: str, name: str) -> str | None:
    """The first parameter of that name (RFC 9110, section 5.6.6), in time linear in the header."""
    place = header.find(";")
    while place >= 0:
        found = _PARAMETER.match(header, place)
        assert found is not None
        if (found[1] or "").lower() == name:
            return _unquoted(found[2].strip())
        place = header.find(";", found.end())
    return None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _too_large(limit: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture may have {limit} bytes at most")


def _bad_form(why: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"the form cannot be read: {why}")
