"""What TorchServe logs beside the requests, from some moment on."""

from __future__ import annotations

from pathlib import Path

_REQUEST = " ACCESS_LOG "


class Warnings:
    """The lines that come into a log after this is made."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = self._size()
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """All so far; reads only what is new."""
        size = self._size()
        if size < self._read:  # the log was rolled over
            self._read = 0
        if size > self._read:
            with self._log.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read += len(whole)
            lines = whole.decode(errors="replace").splitlines()
            self._lines += [line for line in lines if _REQUEST not in line]
        return self._lines

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0
