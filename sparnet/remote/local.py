"""A server on this machine, found by the folder in which it publishes where it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sparnet.errors import UserError

DEFAULT_FOLDER = Path(".state/serving")
ADDRESS_FILE = "server.json"
AUTHORIZATION_FILE = "authorization"
HEADER_START = "Authorization: "

_SCHEME = "Bearer "


@dataclass(frozen=True)
class Address:
    """Where a running server answers, and the value of the header that opens it."""

    url: str
    authorization: str

    @property
    def key(self) -> str:
        """The key in the header: `ID.SECRET`."""
        return self.authorization.removeprefix(_SCHEME)


def find(folder: Path = DEFAULT_FOLDER) -> Address:
    """The server that published itself in `folder`; raises UserError where there is none."""
    try:
        url = json.loads((folder / ADDRESS_FILE).read_text())["url"]
        line = (folder / AUTHORIZATION_FILE).read_text().strip()
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder}: no server runs here; start one with `make serve`") from None
    return Address(str(url), line.removeprefix(HEADER_START))


def read_key(path: Path) -> str:
    """The key in a file that holds it alone, or as the header line that `curl -H @FILE` takes.

    Raises UserError where there is none.
    """
    try:
        text = path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise UserError(f"{path}: the key cannot be read ({reason})") from None
    if not text:
        raise UserError(f"{path}: holds no key; it is a line ID.SECRET")
    return text.removeprefix(HEADER_START).removeprefix(_SCHEME)
