"""A file whose content is followed while it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sparnet.errors import UserError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Followed(Generic[T]):
    """What `read` makes of a file, read again whenever the file has changed."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        """Raises the UserError of `read` where the file cannot be used."""
        self._path = path
        self._read = read
        self._seen = self._signature()
        self._content = read(path)
        self._told = ""

    @property
    def stale(self) -> bool:
        """Whether the last change of the file could not be read."""
        return bool(self._told)

    def content(self) -> T:
        """Where the file has changed into one that cannot be used, what was there before stays;
        the log tells so once, and the file is tried again with every call."""
        seen = self._signature()
        if seen != self._seen:
            try:
                self._content = self._read(self._path)
                self._seen, self._told = seen, ""
            except UserError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    _log.error("what was there before stays valid: %s", error)
        return self._content

    def _signature(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
