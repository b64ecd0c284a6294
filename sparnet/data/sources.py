"""Where pictures come from. A source is a sized iterable of raw pictures, in a fixed order.

A new kind: a block in `sparnet.config.Download`, a class here, a line in `_SOURCES`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from sparnet.config import Download, FolderSource, SyntheticSource
from sparnet.data.parallel import ordered_map
from sparnet.data.renderer import render
from sparnet.errors import UserError
from sparnet.images import encode_png

# Also formats that cannot be read here: better in the quarantine list than unseen.
PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"),
        *("heic", "heif", "avif", "jp2"),
    )
)


@dataclass(frozen=True)
class RawPicture:
    """A picture as its source has it; `data` may be no readable picture at all."""

    id: str
    name: str
    data: bytes
    person: str | None
    source: str
    licence: str


class Source(Protocol):
    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[RawPicture]: ...


def create(download: Download, seed: int, workers: int = 0) -> Source:
    """The source that the parameters name; UserError where it has nothing to give."""
    return _SOURCES[download.source](download, seed, workers)


class Synthetic:
    """Rendered faces: `people` persons with `pictures_per_person` pictures each, as PNG."""

    def __init__(self, block: SyntheticSource, seed: int, workers: int = 0) -> None:
        self._block = block
        self._seed = seed
        self._workers = workers

    def __len__(self) -> int:
        return self._block.people * self._block.pictures_per_person

    def __iter__(self) -> Iterator[RawPicture]:
        pictures = (
            (person, picture)
            for person in range(self._block.people)
            for picture in range(self._block.pictures_per_person)
        )
        return ordered_map(
            partial(_rendered, self._seed, self._block.size), pictures, self._workers
        )


def _rendered(seed: int, size: int, picture: tuple[int, int]) -> RawPicture:
    person_index, picture_index = picture
    rendered = render(seed, person_index, picture_index, size)
    id = f"{rendered.person}-{picture_index:02d}"
    data = encode_png(rendered.image)
    return RawPicture(id, f"{id}.png", data, rendered.person, "synthetic", "CC0-1.0")


class Folder:
    """The pictures below a folder, by relative path.

    Files and folders whose name begins with a dot are passed over, and so are links that lead out
    of the folder, with a line on stderr.
    """

    def __init__(self, block: FolderSource, seed: int) -> None:
        self._block = block
        self._root = Path(block.path)
        if not self._root.is_dir():
            raise UserError(f"{block.path}: no such folder; set download.folder.path")
        files = _pictures_below(self._root)
        if not files:
            raise UserError(f"{block.path}: no pictures in it; set download.folder.path")
        persons = _persons(files, block.person_pattern)
        self._files = _limited(files, persons, block.limit, seed)
        self._persons = persons

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[RawPicture]:
        for file in self._files:
            id = _id(file)
            yield RawPicture(
                id,
                _name(file, id),
                self._read(file),
                self._persons[file],
                "folder",
                self._block.licence,
            )

    def _read(self, file: Path) -> bytes:
        try:
            return (self._root / file).read_bytes()
        except OSError as error:
            raise UserError(
                f"{self._root / file}: cannot be read ({error.strerror}); mend or remove it"
            ) from None


def _pictures_below(root: Path) -> list[Path]:
    """Relative paths, sorted by their posix form."""
    real_root = root.resolve()
    found: list[Path] = []
    outside = 0
    for folder, subfolders, names in os.walk(root, onerror=_raise_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in PICTURE_SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                outside += 1
            elif path.is_file():
                found.append(path.relative_to(root))
    if outside:
        print(f"{root}: {outside} links that lead out of it passed over", file=sys.stderr)
    return sorted(found, key=Path.as_posix)


def _raise_unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror})")


def _persons(files: Iterable[Path], pattern: str | None) -> dict[Path, str | None]:
    """Who is seen in each file; None where the pattern does not say."""
    if pattern is None:
        return dict.fromkeys(files)
    persons = {file: _person(file, pattern) for file in files}
    if not any(persons.values()):
        raise UserError(f"download.folder.person_pattern: {pattern!r} names a person in no file")
    return persons


def _person(file: Path, pattern: str) -> str | None:
    match = re.search(pattern, file.stem)
    return _printable(match["person"]) if match and match["person"] else None


def _limited(
    files: list[Path], persons: dict[Path, str | None], limit: int, seed: int
) -> list[Path]:
    """At most `limit` files: whole persons, in the order of their hash, that still fit."""
    if not limit or len(files) <= limit:
        return files
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[persons[file] or f"file:{_id(file)}"].append(file)
    chosen: list[Path] = []
    for person in sorted(groups, key=lambda person: _hash(f"{seed}\0limit\0{person}")):
        if len(chosen) + len(groups[person]) <= limit:
            chosen += groups[person]
    if not chosen:
        raise UserError(f"download.folder.limit: no person has only {limit} pictures; raise it")
    return sorted(chosen, key=Path.as_posix)


def _id(file: Path) -> str:
    """A name safe in any file system, made unique by the hash of the relative path."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-")[:60]
    digest = hashlib.sha256(os.fsencode(file.as_posix())).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else digest


def _name(file: Path, id: str) -> str:
    """The relative path; where that is not text, the id with the suffix."""
    path = file.as_posix()
    return path if path == _printable(path) else f"{id}{_printable(file.suffix)}"


def _printable(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "replace")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _synthetic(download: Download, seed: int, workers: int) -> Source:
    assert download.synthetic is not None
    return Synthetic(download.synthetic, seed, workers)


def _folder(download: Download, seed: int, _workers: int) -> Source:
    assert download.folder is not None
    return Folder(download.folder, seed)


_SOURCES: dict[str, Callable[[Download, int, int], Source]] = {
    "synthetic": _synthetic,
    "folder": _folder,
}
