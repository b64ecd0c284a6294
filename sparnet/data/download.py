"""From a source to `data/raw`: the original bytes in shards, and a manifest of them."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparnet.data import manifest
from sparnet.data.shards import ShardWriter
from sparnet.data.sources import RawPicture, Source
from sparnet.errors import UserError
from sparnet.files import replacing_folder
from sparnet.images import size_of
from sparnet.progress import progress


def download(source: Source, folder: Path, shard_size: int) -> int:
    """Replace `folder` by the source's pictures, `shard_size` to a shard; returns their number.

    Nothing is refused here: a file that is no picture has no width and height in the manifest.
    """
    with (
        replacing_folder(folder) as temporary,
        ShardWriter(temporary, "shard", shard_size) as shards,
        manifest.ManifestWriter(temporary / manifest.NAME, manifest.RAW) as rows,
    ):
        for picture in progress(source, len(source), "download"):
            shard = shards.add(picture.name, picture.data)
            rows.add(_row(picture, shard))
    return len(source)


@contextmanager
def telling_of_a_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError("the disk is full; make room and run it again, to go on") from None


def _row(picture: RawPicture, shard: str) -> dict[str, Any]:
    width, height = size_of(picture.data) or (None, None)
    return {
        "id": picture.id,
        "shard": shard,
        "file": picture.name,
        "sha256": hashlib.sha256(picture.data).hexdigest(),
        "bytes": len(picture.data),
        "width": width,
        "height": height,
        "source": picture.source,
        "licence": picture.licence,
        "person": picture.person,
    }
