"""Fetched files, kept between runs outside of the stage's outs, which `dvc repro` deletes.

blobs/ab/abcd...      whole files, under their SHA-256
index/ab/abcd...json  what an address gave last: version and SHA-256
partial/abcd...       what has come so far, with its version in abcd...json, and behind it
partial/abcd....d/    what has come of later pieces, each under its place
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sparnet import files
from sparnet.errors import UserError

_CHUNK = 1 << 20

Version = dict[str, str]
"""How a server tells one state of a file from another, such as its ETag; empty: it does not."""


@dataclass(frozen=True)
class Kept:
    """A whole file, and the version under which its address gave it."""

    path: Path
    version: Version


class Store:
    """The folder of fetched files; one object may serve several threads, each its own key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Kept | None:
        """What `key` (an address) gave last, if it is still whole."""
        entry = _read_json(self._index_path(key))
        path = self._blob(entry["sha256"]) if entry else None
        return Kept(path, entry["version"]) if entry and path else None

    def find_by_digest(self, key: str, digest: str) -> Path | None:
        """The file with this digest: with a SHA-256 from any address, else what `key` gave last."""
        algorithm, _, wanted = digest.partition(":")
        if algorithm == "sha256":
            return self._blob(wanted)
        kept = self.find(key)
        return kept.path if kept and matches(kept.path, digest) else None

    def partial(self, key: str) -> Partial:
        return Partial(self._folder / "partial" / _digest(key))

    def keep(self, key: str, partial: Partial, digest: str | None, title: str) -> Path:
        """Make the partial file a whole one and return its place.

        With another digest ("sha256:..." or "md5:...") than the wanted one nothing of it is kept,
        and a UserError, beginning with `title`, is raised.
        """
        if digest and not matches(partial.path, digest):
            partial.discard()
            raise UserError(f"{title}: its bytes are not those of {digest}; ask its publisher")
        sha256 = files.sha256(partial.path)
        place = self._blob_path(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        entry = {"key": key, "version": partial.version, "sha256": sha256}
        partial.path.replace(place)
        files.write_json(self._index_path(key), entry)
        partial.discard()
        return place

    def _blob(self, sha256: str) -> Path | None:
        """The file with these bytes; a damaged one is deleted."""
        path = self._blob_path(sha256)
        if not path.is_file():
            return None
        if files.sha256(path) != sha256:
            path.unlink()
            return None
        return path

    def _blob_path(self, sha256: str) -> Path:
        return self._folder / "blobs" / sha256[:2] / sha256

    def _index_path(self, key: str) -> Path:
        digest = _digest(key)
        return self._folder / "index" / digest[:2] / f"{digest}.json"


class Partial:
    """A file, or a piece of one, that is still coming. Its bytes all belong to one version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state_path = path.with_name(f"{path.name}.json")
        self._pieces = path.with_name(f"{path.name}.d")
        state = _read_json(self._state_path) if path.is_file() else None
        self.version: Version = state["version"] if state else {}
        self.length: int | None = state["length"] if state else None
        if state is None:
            self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def start(self, version: Version, length: int | None) -> None:
        """Begin anew, with a version that will have `length` bytes where that is known."""
        self.discard()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Neither flushed nor atomic, for the sake of many small files: half of it is no JSON.
        self._state_path.write_text(json.dumps({"version": version, "length": length}))
        self.version, self.length = version, length

    @contextmanager
    def appending(self) -> Iterator[IO[bytes]]:
        """The file, to write on; all that was written is on the disk afterwards."""
        with self.path.open("ab") as stream:
            try:
                yield stream
            finally:
                stream.flush()
                os.fsync(stream.fileno())

    def piece(self, start: int, length: int) -> Partial:
        """The `length` bytes from `start` on, to be fetched by themselves and then joined."""
        self.path.touch()  # else its state counts for nothing
        piece = Partial(self._pieces / str(start))
        if piece.version != self.version or piece.length != length or piece.size > length:
            piece.start(self.version, length)
        return piece

    def join(self, start: int, piece: Partial) -> None:
        """Append what is missing of a whole piece; the file must reach up to its `start`."""
        with self.appending() as stream, piece.path.open("rb") as source:
            source.seek(self.size - start)
            shutil.copyfileobj(source, stream, _CHUNK)
        piece.discard()

    def discard(self) -> None:
        shutil.rmtree(self._pieces, ignore_errors=True)
        self.path.unlink(missing_ok=True)
        self._state_path.unlink(missing_ok=True)
        self.version, self.length = {}, None


def matches(path: Path, digest: str) -> bool:
    """Whether the file has the digest, "sha256:..." or "md5:..."."""
    algorithm, _, wanted = digest.partition(":")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == wanted


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
