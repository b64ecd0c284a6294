"""Pictures in a bucket of Amazon S3 or of a server that speaks its language."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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

from sparnet.config import Fetching, S3Source
from sparnet.data.sources.archive import Refused, clean_name
from sparnet.data.sources.base import Files, Selected, is_picture
from sparnet.data.sources.patience import Patience, Transient
from sparnet.data.sources.store import Partial, Store, Version
from sparnet.errors import UserError

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


class S3(Selected):
    """The pictures below a prefix of a bucket, named by their keys behind its last slash."""

    def __init__(
        self,
        block: S3Source,
        seed: int,
        store: Store,
        fetching: Fetching,
        patience: Patience | None = None,
    ) -> None:
        patience = patience or Patience(fetching)
        bucket = _Bucket(block, store, fetching, patience)
        objects = bucket.objects()
        paths = patience.each(objects, bucket.fetch, f"download s3://{block.bucket}")
        files = {object.name: path for object, path in zip(objects, paths, strict=True)}
        super().__init__("s3", [Files(files)], block, seed)


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
        """The pictures in the bucket as it is now; how much else is there is told."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._told():
            listed = [
                self._object(entry)
                for page in pages.paginate(Bucket=self._block.bucket, Prefix=self._block.prefix)
                for entry in page.get("Contents", ())
                if not entry["Key"].endswith("/")
            ]
        pictures = [object for object in listed if is_picture(object.name)]
        if len(pictures) < len(listed):
            others = len(listed) - len(pictures)
            print(f"{self._place()}: {others} objects passed over: no pictures", file=sys.stderr)
        if not pictures:
            raise UserError(f"{self._place()}: no pictures; mend download.s3.prefix")
        return pictures

    def fetch(self, object: _Object) -> Path:
        """The object's file: kept where its version is the same, else fetched or completed."""
        self._patience.check()
        key = f"{self._block.endpoint or 's3:'}//{self._block.bucket}/{object.key}"
        kept = self._store.find(key)
        if kept and kept.version == object.version():
            return kept.path
        part = self._store.partial(key)
        if part.version != object.version() or part.size > object.size:
            part.start(object.version(), object.size)
        title = self._place(object.key)
        self._patience.until_done(title, partial(self._attempt, object, part), lambda: part.size)
        return self._store.keep(key, part, None, title)

    def _attempt(self, object: _Object, part: Partial) -> None:
        if part.size == object.size and part.path.is_file():
            return
        rest = {"Range": f"bytes={part.size}-"} if part.size else {}
        with self._told(object.key):
            response = self._client.get_object(
                Bucket=self._block.bucket, Key=object.key, IfMatch=object.etag, **rest
            )
        if rest and not response.get("ContentRange", "").startswith(f"bytes {part.size}-"):
            part.start(object.version(), object.size)
        try:
            with part.appending() as stream:
                for chunk in response["Body"].iter_chunks(_CHUNK):
                    self._patience.check()
                    stream.write(chunk)
        except FlexibleChecksumError:
            part.start(object.version(), object.size)
            raise Transient("damaged on the way") from None
        except BotoCoreError as error:
            raise Transient(_line(error)) from None
        if part.size != object.size:
            size = part.size
            part.start(object.version(), object.size)
            raise Transient(f"{size} bytes came, {object.size} were announced")

    def _object(self, entry: dict[str, Any]) -> _Object:
        folder = self._block.prefix.rpartition("/")[0]
        key = entry["Key"]
        try:
            name = clean_name(key.removeprefix(f"{folder}/") if folder else key)
        except Refused as refusal:
            raise UserError(f"{self._place()}: refused: {refusal}") from None
        return _Object(name, key, entry["Size"], entry["ETag"])

    def _place(self, key: str | None = None) -> str:
        return f"s3://{self._block.bucket}/{self._block.prefix if key is None else key}"

    @contextmanager
    def _told(self, key: str | None = None) -> Iterator[None]:
        """Turn what boto3 raises into one line."""
        place = self._place(key)
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
