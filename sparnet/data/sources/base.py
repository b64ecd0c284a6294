"""What every source gives, and the one source of pictures that lie in files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from sparnet.config import Selection
from sparnet.data.sources import selection
from sparnet.errors import UserError

# Also formats that cannot be read here: better in the quarantine list than unseen.
PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"),
        *("heic", "heif", "avif", "jp2"),
    )
)
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


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
    """A sized iterable of raw pictures, in a fixed order."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[RawPicture]: ...


class Holder(Protocol):
    """Something that holds pictures in files: a folder, an archive, fetched objects."""

    names: Sequence[str]
    """Relative posix paths, in a fixed order."""

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted names, in the order of `names`, with their bytes."""
        ...


class Files:
    """Single files under the names they are to have."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self.names: Sequence[str] = sorted(paths)

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for name in self.names:
            if name in wanted:
                yield name, read_file(self._paths[name])


class Pictures:
    """The chosen pictures of some holders; `kind` is the source's name in the parameters.

    UserError where the holders have no picture, or two of the same name.
    """

    def __init__(
        self,
        kind: str,
        holders: Sequence[Holder],
        persons: Callable[[Sequence[str]], selection.Persons],
        *,
        limit: int,
        seed: int,
        licence: str,
    ) -> None:
        self._kind = kind
        self._holders = holders
        self._licence = licence
        names = [name for holder in holders for name in holder.names]
        if not names:
            raise UserError(f"download.{kind}: no pictures there; name another place")
        selection.refuse_twins(names, f"download.{kind}")
        self._persons = persons(names)
        self._chosen = frozenset(
            selection.limited(names, self._persons, limit, seed, f"download.{kind}.limit")
        )

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[RawPicture]:
        for holder in self._holders:
            for name, data in holder.read(self._chosen):
                id = selection.picture_id(name)
                shown = selection.picture_name(name, id)
                person = self._persons[name]
                yield RawPicture(id, shown, data, person, self._kind, self._licence)


class Selected(Pictures):
    """Pictures chosen as a block of the parameters says."""

    def __init__(self, kind: str, holders: Sequence[Holder], block: Selection, seed: int) -> None:
        key = f"download.{kind}.person_pattern"
        super().__init__(
            kind,
            holders,
            partial(selection.persons_by_pattern, pattern=block.person_pattern, key=key),
            limit=block.limit,
            seed=seed,
            licence=block.licence,
        )


def is_picture(name: str) -> bool:
    """By its suffix; what lies in or is a hidden file is none."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES and not _is_hidden(name)


def is_archive(name: str) -> bool:
    """By its suffix; what lies in or is a hidden file is none."""
    return name.lower().endswith(_ARCHIVE_SUFFIXES) and not _is_hidden(name)


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from None


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)
