"""What a request ends in that brings no answer, or not the one that was asked for."""

from __future__ import annotations

import httpx

from sparnet.errors import UserError

_LONGEST_DETAIL = 500


class RemoteError(UserError):
    """A request that failed. `detail` is one line that says why.

    status: what the server answered, None where it did not. request_id: by which the server's log
    tells of the request, None where it is not known.
    """

    def __init__(self, detail: str, status: int | None = None, request_id: str | None = None):
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        known = [str(self.status)] if self.status is not None else []
        known += [f"request {self.request_id}"] if self.request_id else []
        return f"{self.detail} ({', '.join(known)})" if known else self.detail


class NotReached(RemoteError):
    """No server answered, or not in time."""


class Refused(RemoteError):
    """The server answered with a problem."""


def refused(response: httpx.Response) -> Refused:
    """The problem (RFC 9457) in an answer; what else it holds is not shown."""
    try:
        detail = response.json()["detail"]
    except (ValueError, LookupError, TypeError):
        detail = None
    if not isinstance(detail, str) or not detail.strip():
        detail = response.reason_phrase or "no reason given"
    return Refused(_one_line(detail), response.status_code, request_id(response))


def request_id(response: httpx.Response) -> str | None:
    told = response.headers.get("x-request-id")
    return _one_line(told) if told else None


def _one_line(text: str) -> str:
    """Nothing that a server writes moves the cursor of a terminal."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST_DETAIL])
    return " ".join(shown.split())
