"""Fetch or render the pictures: `python -m sparnet.stages.download`."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.data import sources
from sparnet.data.download import download, telling_of_a_full_disk
from sparnet.data.parallel import Workers
from sparnet.stages.common import project, run


def main(params: Params) -> None:
    # An experiment in a temporary copy of the project shares what the project has fetched.
    state = project() / sources.STATE
    with telling_of_a_full_disk():
        source = sources.create(params.download, params.seed, Workers.of(params.compute), state)
        count = download(source, Path("data/raw"), params.download.shard_size)
    print(f"data/raw: {count} pictures")


if __name__ == "__main__":
    run(main)
