"""The client of a server: pictures go out, restored ones come back."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import httpx

from sparnet.errors import UserError
from sparnet.remote import answers
from sparnet.remote.answers import Answer, Model
from sparnet.remote.refusals import NotReached, refused
from sparnet.remote.retrying import Patience, Waits

_COME_BACK = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)
"""The connection was refused or ended; what was asked for may be asked for again."""

_CONNECT_TIMEOUT = 10.0


class Client:
    """Asks one server, with one key; threads may share it. A context manager, or `close` it.

    A request is sent again as `patience` allows where the server is busy or starts again (429 and
    503, after what Retry-After says) or the connection breaks; nothing else is tried twice. What a
    request ends in is a RemoteError.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience: Patience | None = None,
        timeout: float = 300.0,
    ) -> None:
        """`url` as in "https://faces.example", `key` as in "ID.SECRET".

        timeout: seconds without a byte from the server until a request is given up. Raises
        UserError for a URL or key that cannot be one. No variable of the environment counts.
        """
        if not (key.isascii() and key.isprintable() and key and " " not in key):
            raise UserError("the key is not one; it is a line ID.SECRET")
        self._url = url.rstrip("/")
        self._patience = patience or Patience()
        try:
            parsed = httpx.URL(self._url)
        except httpx.InvalidURL:
            parsed = httpx.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise UserError(f"{url}: not a URL of a server, such as http://127.0.0.1:8080")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_TIMEOUT)),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def enhance(
        self,
        picture: bytes,
        *,
        model: str | None = None,
        aligned: bool = False,
        upscale: int = 1,
        min_confidence: float = 0.0,
        match_colour: bool = False,
        small_faces: bool = False,
        turned_faces: bool = False,
        media_type: str = "image/png",
        details: bool = False,
    ) -> Answer:
        """Restore the faces of an encoded picture.

        Without `model` the server chooses. aligned: the whole picture is one face. upscale: 1 to
        4 times as large. min_confidence: leave faces below it as they are, 0 to 1. match_colour:
        faces keep the photograph's colours. small_faces, turned_faces: look for them too, slower.
        media_type: of the answer, "image/png", "image/webp" or "image/jpeg". details: with the
        box and confidence of each face. The server checks what it is asked.
        """
        if media_type not in answers.MEDIA_TYPES:
            raise UserError(f"{media_type}: an answer is {', '.join(answers.MEDIA_TYPES)}")
        options = {
            "model": model,
            "aligned": aligned,
            "upscale": None if upscale == 1 else upscale,
            "min_confidence": min_confidence,
            "match_colour": match_colour,
            "small_faces": small_faces,
            "turned_faces": turned_faces,
        }
        given = {
            name: _text(value) for name, value in options.items() if value not in (None, False)
        }
        accept = f"{answers.DETAILS}, {media_type};q=0.5" if details else media_type
        headers = {"Content-Type": "application/octet-stream", "Accept": accept}
        return answers.picture(
            self._ask("POST", "/v1/enhance", params=given, content=picture, headers=headers)
        )

    def models(self) -> tuple[Model, ...]:
        """The models that are served."""
        return answers.models(self._ask("GET", "/v1/models"))

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        waits = Waits(self._patience)
        while True:
            response, error = self._try(method, path, request)
            if response is not None and response.is_success:
                return response
            if response is not None and response.status_code not in _COME_BACK:
                raise refused(response)
            wait = waits.after(response)
            if wait is None:
                raise refused(response) if response is not None else self._not_reached(error)
            time.sleep(wait)

    def _try(
        self, method: str, path: str, request: dict[str, Any]
    ) -> tuple[httpx.Response | None, httpx.HTTPError | None]:
        """The answer, or what broke the connection; raises NotReached where waiting is no use."""
        try:
            return self._http.request(method, f"{self._url}{path}", **request), None
        except _BROKEN as error:
            return None, error
        except httpx.HTTPError as error:
            raise self._not_reached(error) from None

    def _not_reached(self, error: httpx.HTTPError | None) -> NotReached:
        reason = str(error) or type(error).__name__
        return NotReached(f"{self._url}: no answer ({reason}); is the server up?")


def _text(value: object) -> str:
    return "true" if value is True else str(value)
