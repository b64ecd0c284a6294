"""Shards: plain zip files of stored members, so that a million pictures are a few files.

Members are not compressed (pictures are already), so a member is one seek and one read away.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

from sparnet.errors import UserError

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ShardWriter:
    """Write members into `{prefix}-00000.zip`, `{prefix}-00001.zip`... of `capacity` members.

    The same members in the same order give the same bytes. Use it as a context manager, inside
    `sparnet.files.replacing_folder`.
    """

    def __init__(self, folder: Path, prefix: str, capacity: int) -> None:
        self._folder = folder
        self._prefix = prefix
        self._capacity = capacity
        self._shards = 0
        self._members: set[str] = set()
        self._zip: zipfile.ZipFile | None = None

    def add(self, name: str, data: bytes) -> str:
        """Append a member and return its shard's file name; ValueError for a name used before."""
        if self._zip is None or len(self._members) == self._capacity:
            self._next_shard()
        if name in self._members:
            raise ValueError(f"{self._shard_name()} already holds {name}")
        info = zipfile.ZipInfo(name, date_time=_EPOCH)
        info.create_system = 3
        info.external_attr = 0o644 << 16
        assert self._zip is not None
        self._zip.writestr(info, data)
        self._members.add(name)
        return self._shard_name()

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next_shard(self) -> None:
        self.close()
        self._shards += 1
        self._members = set()
        self._zip = zipfile.ZipFile(self._folder / self._shard_name(), "w", zipfile.ZIP_STORED)

    def _shard_name(self) -> str:
        return f"{self._prefix}-{self._shards - 1:05d}.zip"


@dataclass(frozen=True)
class ShardReader:
    """Read members of the shards in `folder`.

    It keeps no file open, so it may be forked, used by threads and pickled, also for a process that
    works elsewhere; the tables of contents are cached per process.
    """

    folder: Path

    def __reduce__(self) -> tuple[type[ShardReader], tuple[Path]]:
        return ShardReader, (self.folder.absolute(),)

    def read(self, shard: str, member: str) -> bytes:
        """The bytes of a member; UserError where shard or member is missing or damaged."""
        path = self.folder / shard
        try:
            status = path.stat()
            place = _contents(path, status.st_ino, status.st_mtime_ns, status.st_size)[member]
            data = _read_stored(path, place)
        except KeyError:
            raise UserError(f"{path}: has no member {member}; run `dvc repro`") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); run `dvc repro`") from None
        except (zipfile.BadZipFile, struct.error):
            raise UserError(f"{path}: damaged; delete its folder and run `dvc repro`") from None
        if len(data) != place.size or zlib.crc32(data) != place.crc:
            raise UserError(f"{path}: {member} is damaged; delete its folder and run `dvc repro`")
        return data


class _Place(NamedTuple):
    header: int
    size: int
    crc: int


@lru_cache(maxsize=1024)
def _contents(path: Path, *_identity: int) -> dict[str, _Place]:
    """Where each member lies; the identity makes a rewritten shard another key of the cache."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise zipfile.BadZipFile("a member is compressed")
    return {info.filename: _Place(info.header_offset, info.file_size, info.CRC) for info in infos}


def _read_stored(path: Path, place: _Place) -> bytes:
    with path.open("rb") as stream:
        stream.seek(place.header)
        *_, name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        stream.seek(name_length + extra_length, 1)
        return stream.read(place.size)
