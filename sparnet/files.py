"""All-or-nothing files: written beside their place, then renamed, so a crash leaves old or new."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed and takes its place.

    It is its owner's alone until then; `mode` is what it gets, else what the umask leaves.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _take_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(folder: Path, path: Path) -> None:
    """Rename `folder` to `path`; what was there is deleted only once the new one stands."""
    old = folder.with_name(f"{folder.name}.old")
    if path.exists():
        path.replace(old)
    try:
        folder.replace(path)
    except OSError:
        if old.exists():
            old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, content: bytes, mode: int | None = None) -> None:
    with replacing(path, mode) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_private(path: Path, content: str) -> None:
    """A file that only its owner can read: keys, tokens, where a server is."""
    write_bytes(path, content.encode(), 0o600)


def write_json(path: Path, content: Any) -> None:
    """Sorted keys, two spaces, no NaN: the same content is the same bytes."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def code_sha256(contents: Iterable[Path]) -> str:
    """Hex SHA-256 of the Python files given, or within the folders given."""
    hashed = hashlib.sha256()
    for path in contents:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            hashed.update(f"{file.name}:{sha256(file)};".encode())
    return hashed.hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
