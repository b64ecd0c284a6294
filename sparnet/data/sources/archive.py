"""Pictures in zip and tar archives from strangers: read in place, never unpacked to the disk.

The whole table of contents is checked before anything is taken. An archive with one member that
only an attacker or an accident makes is refused whole.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from sparnet.config import ArchiveLimits
from sparnet.data.sources.base import Holder, is_picture
from sparnet.data.sources.selection import printable
from sparnet.errors import UserError

_BLOCK = 512
_RATIO_SLACK = 1 << 20
_PACKERS = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}
_DAMAGES = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, OSError),
)


class Refused(Exception):
    """Why an archive is not taken; the text goes behind the archive's name."""


def open_archive(path: Path, title: str, limits: ArchiveLimits, prefix: str = "") -> Holder:
    """The pictures in the archive at `path`, `prefix` before their names.

    UserError, beginning with `title`, for what is no archive, is damaged or encrypted, or holds a
    member that leads outside, is no plain file, has a twin or breaks the limits.
    """
    with _told(title):
        kind = _Zip if _begins_with(path, b"PK") else _Tar
        return kind(path, title, limits, prefix)


def clean_name(name: str) -> str:
    """The relative posix path that a member's name means; Refused where it leads outside.

    Backslashes separate, as in archives made on Windows; "." and empty parts are dropped.
    """
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    shown = repr(printable(name))
    if slashed.startswith("/"):
        raise Refused(f"the member {shown} has an absolute path")
    if re.match(r"[A-Za-z]:", parts[0] if parts else ""):
        raise Refused(f"the member {shown} names a drive")
    if ".." in parts:
        raise Refused(f"the member {shown} leads out of the archive")
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise Refused(f"the member {shown} has control characters in its name")
    return "/".join(parts)


class _Contents:
    """The members admitted so far, held against the limits."""

    def __init__(self, packed: int, limits: ArchiveLimits) -> None:
        self.pictures: list[str] = []
        self.passed_over = 0
        self._packed = packed
        self._limits = limits
        self._members = 0
        self._total = 0
        self._names: set[str] = set()

    def admit(self, name: str, size: int, is_folder: bool) -> str:
        """The member's clean name; `size` is the unpacked one that the archive claims."""
        clean = clean_name(name)
        self._members += 1
        if self._members > self._limits.members:
            raise Refused(f"more than {self._limits.members} members; {_mend('members')}")
        if not is_folder:
            self._weigh(clean, size)
            self._note(clean)
        return clean

    def _weigh(self, name: str, size: int) -> None:
        if size < 0:
            raise Refused("damaged")
        self._total += size
        if size > self._limits.member_mb * 10**6:
            large = f"{printable(name)} is larger than {self._limits.member_mb} MB"
            raise Refused(f"{large}; {_mend('member_mb')}")
        if self._total > self._limits.total_gb * 10**9:
            raise Refused(f"unpacked above {self._limits.total_gb} GB; {_mend('total_gb')}")
        if self._total > self._limits.ratio * self._packed + _RATIO_SLACK:
            raise Refused(f"unpacks to over {self._limits.ratio} times its size; {_mend('ratio')}")

    def _note(self, name: str) -> None:
        if not name or name in self._names:
            raise Refused(f"two members are called {printable(name)!r}" if name else "damaged")
        self._names.add(name)
        if is_picture(name):
            self.pictures.append(name)
        else:
            self.passed_over += 1


class _Archive(ABC):
    """What zip and tar share: names with a prefix, and a count of what is passed over."""

    def __init__(self, path: Path, title: str, limits: ArchiveLimits, prefix: str) -> None:
        self._path = path
        self._title = title
        self._limits = limits
        self._prefix = prefix
        contents = self._checked(_Contents(path.stat().st_size, limits))
        if contents.passed_over:
            print(
                f"{title}: {contents.passed_over} files passed over: no pictures", file=sys.stderr
            )
        if not contents.pictures:
            raise UserError(f"{title}: no pictures in it; name another archive")
        self.names: Sequence[str] = [prefix + name for name in contents.pictures]

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        with _told(self._title):
            yield from self._members({*self.names} & {*wanted})

    @abstractmethod
    def _checked(self, contents: _Contents) -> _Contents:
        """Admit every member to the contents."""

    @abstractmethod
    def _members(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted pictures, by name with prefix, in the order of the archive."""


class _Zip(_Archive):
    def _checked(self, contents: _Contents) -> _Contents:
        with zipfile.ZipFile(self._path) as archive:
            for info in archive.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise Refused(f"the member {printable(info.filename)!r} is a link or a device")
                if info.flag_bits & 0x1:
                    raise Refused("encrypted; unpack it and use a folder")
                # orig_filename: zipfile cuts `filename` at a zero byte.
                contents.admit(info.orig_filename, info.file_size, info.is_dir())
        return contents

    def _members(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self._path) as archive:
            for info in archive.infolist():
                name = self._prefix + clean_name(info.orig_filename)
                if name in wanted and not info.is_dir():
                    # zipfile unpacks no more than the size that was admitted, then checks the CRC.
                    yield name, archive.read(info)


class _Tar(_Archive):
    def _checked(self, contents: _Contents) -> _Contents:
        with self._unpacked() as stream:
            for info in _tar(stream):
                plain = info.isfile() and not info.issparse()
                if not plain and not info.isdir():
                    raise Refused(f"the member {printable(info.name)!r} is a link or a device")
                contents.admit(info.name, info.size, info.isdir())
            stream.finish(self._limits.ratio * self._path.stat().st_size + _RATIO_SLACK)
        return contents

    def _members(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        with self._unpacked() as stream:
            archive = _tar(stream)
            for info in archive:
                name = self._prefix + clean_name(info.name)
                if name in wanted and info.isfile():
                    member = archive.extractfile(info)
                    assert member is not None
                    yield name, member.read()

    @contextmanager
    def _unpacked(self) -> Iterator[_Guarded]:
        opener: Any = open
        for magic, packer in _PACKERS.items():
            if _begins_with(self._path, magic):
                opener = packer.open
        with opener(self._path, "rb") as stream:
            yield _Guarded(stream, self._limits.member_mb * 10**6 + _BLOCK)


class _Guarded:
    """An unpacked tar as tarfile reads it, which believes any length that a header claims."""

    def __init__(self, stream: IO[bytes], largest_read: int) -> None:
        self._stream = stream
        self._largest_read = largest_read
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._largest_read:
            raise Refused("damaged: a member claims an impossible length")
        self._last = self._stream.read(size)
        return self._last

    def seek(self, position: int) -> int:
        if position < 0:
            raise Refused("damaged: a member claims an impossible length")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def finish(self, most: int) -> None:
        """Refused unless the end mark was the last read; reads on, to see the checksum."""
        if self._last != bytes(_BLOCK):
            raise Refused("damaged or cut off")
        while self._stream.read(1 << 16):
            if self._stream.tell() > most:
                raise Refused("goes on behind its end")


def _tar(stream: _Guarded) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")
    except tarfile.ReadError:
        raise Refused("neither a zip nor a tar archive, or damaged") from None


@contextmanager
def _told(title: str) -> Iterator[None]:
    """Turn what is wrong with an archive into one line."""
    try:
        yield
    except Refused as refusal:
        raise UserError(f"{title}: refused: {refusal}") from None
    except (NotImplementedError, RuntimeError) as error:
        raise UserError(f"{title}: refused: encrypted or packed unusually ({error})") from None
    except _DAMAGES as error:
        raise UserError(f"{title}: refused: damaged ({' '.join(str(error).split())})") from None


def _mend(limit: str) -> str:
    return f"raise download.archive_limits.{limit} if it is to be trusted"


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic
