"""Fetch or render the pictures: `python -m sparnet.stages.download`."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.stages.common import run


def main(params: Params) -> None:
    source = sources.create(params.download, params.seed, params.compute.workers)
    count = download(source, Path("data/raw"), params.download.shard_size)
    print(f"data/raw: {count} pictures")


if __name__ == "__main__":
    run(main)
