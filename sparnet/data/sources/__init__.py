"""Where pictures come from. A source is a sized iterable of raw pictures, in a fixed order.

A new kind: a block in `sparnet.config.Download`, a file here, a line in `create`.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sparnet.config import Download
from sparnet.data.parallel import Workers
from sparnet.data.sources.base import PICTURE_SUFFIXES, RawPicture, Source
from sparnet.data.sources.folder import Folder
from sparnet.data.sources.http import Fetcher, Http
from sparnet.data.sources.named import Named
from sparnet.data.sources.store import Store
from sparnet.data.sources.synthetic import Synthetic

__all__ = [
    "PICTURE_SUFFIXES",
    "Folder",
    "Http",
    "Named",
    "RawPicture",
    "Source",
    "Synthetic",
    "create",
]

STATE = Path(".state/download")


def create(
    download: Download, seed: int, workers: int | Workers = 0, state: Path = STATE
) -> Source:
    """The source that the parameters name, with what it needs fetched into the folder `state`.

    UserError where it has nothing to give.
    """
    block = getattr(download, download.source)
    if download.source == "synthetic":
        return Synthetic(block, seed, workers)
    if download.source == "folder":
        return Folder(block, seed)
    store = Store(state)
    if download.source == "s3":
        from sparnet.data.sources.s3 import S3  # boto3 is slow to import

        return S3(block, seed, store, download.fetching, download.archive_limits)
    with closing(Fetcher(store, download.fetching)) as fetcher:
        if download.source == "http":
            return Http(block, seed, fetcher, download.archive_limits)
        return Named(download.source, block, seed, fetcher, download.archive_limits)
