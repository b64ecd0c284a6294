"""Pictures in a bucket of Amazon S3 or of a server that speaks its language."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    FlexibleChecksumError,
    NoCredentialsError,
)

from sparnet.config import ArchiveLimits, Fetching, S3Source
from sparnet.data.sources.archive import Refused, clean_name, open_archive
from sparnet.data.sources.base import Files, Holder, Selected, is_archive, is_picture
from sparnet.data.sources.patience import Patience, Transient
from sparnet.data.sources.store import Partial, Store, Version
from sparnet.errors import UserError

PIECE = 16 << 20
"""Bytes of an object of more than four times as many that are fetched as one."""
_CHUNK = 1 << 20
_DENIED = frozenset(
    {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)


@dataclass(frozen=True)
class _Object:
    name: str
    key: str
    size: int
    etag: str

    def version(self) -> Version:
        return {"etag": self.etag, "size": str(self.size)}

    def is_large(self) -> bool:
        return self.size > 4 * PIECE


class S3(Selected):
    """The pictures, single and in archives, below a prefix of a bucket.

    They are named by their keys behind its last slash.
    """

    def __init__(
        self,
        block: S3Source,
        seed: int,
        store: Store,
        fetching: Fetching,
        limits: ArchiveLimits,
        patience: Patience | None = None,
    ) -> None:
        bucket = _Bucket(block, store, fetching, patience or Patience(fetching))
        paths = bucket.fetch_all(bucket.objects())
        pictures = {object.name: path for object, path in paths.items() if is_picture(object.name)}
        holders: list[Holder] = [Files(pictures)]
        for object, path in paths.items():
            if object.name not in pictures:
                title = bucket.place(object.key)
                holders.append(open_archive(path, title, limits, f"{object.name}/"))
        super().__init__("s3", holders, block, seed)


class _Bucket:
    def __init__(
        self, block: S3Source, store: Store, fetching: Fetching, patience: Patience
    ) -> None:
        self._block = block
        self._store = store
        self._patience = patience
        config = Config(
            signature_version=UNSIGNED if block.anonymous else None,
            retries={"mode": "standard", "total_max_attempts": fetching.retries + 1},
            max_pool_connections=fetching.concurrency,
            connect_timeout=fetching.timeout_s,
            read_timeout=fetching.timeout_s,
        )
        with self._told():
            self._client = boto3.Session().client(
                "s3", endpoint_url=block.endpoint, region_name=block.region, config=config
            )

    def objects(self) -> list[_Object]:
        """Pictures and archives in the bucket as it is now; how much else is there is told."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._told():
            listed = [
                self._object(entry)
                for page in pages.paginate(Bucket=self._block.bucket, Prefix=self._block.prefix)
                for entry in page.get("Contents", ())
                if not entry["Key"].endswith("/")
            ]
        taken = [object for object in listed if is_picture(object.name) or is_archive(object.name)]
        if len(taken) < len(listed):
            others = len(listed) - len(taken)
            print(f"{self.place()}: {others} objects passed over: no pictures", file=sys.stderr)
        if not taken:
            raise UserError(f"{self.place()}: no pictures; mend download.s3.prefix")
        return taken

    def fetch_all(self, objects: list[_Object]) -> dict[_Object, Path]:
        """The objects' files. Several small ones, or pieces of a large one, come at once."""
        small = [object for object in objects if not object.is_large()]
        fetched = self._patience.each(small, self._fetch, f"download s3://{self._block.bucket}")
        paths = dict(zip(small, fetched, strict=True))
        return {object: paths.get(object) or self._fetch(object) for object in objects}

    def _fetch(self, object: _Object) -> Path:
        """The object's file: kept where its version is the same, else fetched or completed."""
        self._patience.check()
        key = f"{self._block.endpoint or 's3:'}//{self._block.bucket}/{object.key}"
        kept = self._store.find(key)
        if kept and kept.version == object.version():
            return kept.path
        part = self._store.partial(key)
        if part.version != object.version() or part.size > object.size:
            part.start(object.version(), object.size)
        if object.is_large():
            self._fetch_pieces(object, part)
        else:
            self._complete(object, part)
        return self._store.keep(key, part, None, self.place(object.key))

    def _fetch_pieces(self, object: _Object, part: Partial) -> None:
        """Fetch several pieces at once, then join them to the file in their order."""
        starts = range(part.size - part.size % PIECE, object.size, PIECE)
        pieces = {start: part.piece(start, min(PIECE, object.size - start)) for start in starts}

        def complete(start: int) -> None:
            self._complete(object, pieces[start], start)

        self._patience.each(starts, complete, f"download {self.place(object.key)}, pieces")
        for start, piece in pieces.items():
            part.join(start, piece)

    def _complete(self, object: _Object, part: Partial, start: int = 0) -> None:
        """Append what the part, which begins at `start` of the object, still lacks."""
        attempt = partial(self._attempt, object, part, start)
        self._patience.until_done(self.place(object.key), attempt, lambda: part.size)

    def _attempt(self, object: _Object, part: Partial, start: int) -> None:
        length = part.length or 0
        if part.size == length and part.path.is_file():
            return
        first, last = start + part.size, start + length - 1
        rest = {} if last - first == object.size - 1 else {"Range": f"bytes={first}-{last}"}
        with self._told(object.key):
            response = self._client.get_object(
                Bucket=self._block.bucket, Key=object.key, IfMatch=object.etag, **rest
            )
        chunks = response["Body"].iter_chunks(_CHUNK)
        if rest and not response.get("ContentRange", "").startswith(f"bytes {first}-"):
            chunks = _cut(chunks, first, last + 1)
        try:
            with part.appending() as stream:
                for chunk in chunks:
                    self._patience.check()
                    stream.write(chunk)
        except FlexibleChecksumError:
            part.start(object.version(), length)
            raise Transient("damaged on the way") from None
        except BotoCoreError as error:
            raise Transient(_line(error)) from None
        if part.size != length:
            size = part.size
            part.start(object.version(), length)
            raise Transient(f"{size} bytes came, {length} were announced")

    def _object(self, entry: dict[str, Any]) -> _Object:
        folder = self._block.prefix.rpartition("/")[0]
        key = entry["Key"]
        try:
            name = clean_name(key.removeprefix(f"{folder}/") if folder else key)
        except Refused as refusal:
            raise UserError(f"{self.place()}: refused: {refusal}") from None
        return _Object(name, key, entry["Size"], entry["ETag"])

    def place(self, key: str | None = None) -> str:
        return f"s3://{self._block.bucket}/{self._block.prefix if key is None else key}"

    @contextmanager
    def _told(self, key: str | None = None) -> Iterator[None]:
        """Turn what boto3 raises into one line."""
        place = self.place(key)
        try:
            yield
        except ClientError as error:
            raise UserError(f"{place}: {_reason(error)}") from None
        except NoCredentialsError:
            raise UserError(
                f"{place}: no keys; give them as boto3 wants them (AWS_PROFILE, ~/.aws), "
                "or set download.s3.anonymous for a public bucket"
            ) from None
        except EndpointConnectionError as error:
            raise UserError(f"{place}: {_line(error)}; mend download.s3.endpoint") from None
        except (BotoCoreError, ValueError) as error:
            raise UserError(f"{place}: {_line(error)}; mend download.s3") from None


def _cut(chunks: Iterable[bytes], start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` to `stop`, from a server that sends all where it is asked for some."""
    place = 0
    for chunk in chunks:
        yield chunk[max(0, start - place) : max(0, stop - place)]
        place += len(chunk)


def _reason(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", "?"))
    if code in ("NoSuchBucket", "404"):
        return "no such bucket; mend download.s3.bucket"
    if code in _DENIED:
        return f"access denied ({code}); check the keys and their rights"
    if code in ("412", "PreconditionFailed", "NoSuchKey"):
        return "has changed while it was fetched; run it again"
    return f"{_line(error)}; run it again, or mend download.s3"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
