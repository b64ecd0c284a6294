from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparnet.config import FolderSource
from sparnet.data import manifest
from sparnet.data.download import download
from sparnet.data.shards import ShardReader
from sparnet.data.sources import Folder, RawPicture
from sparnet.errors import UserError


def source(path: Path) -> Folder:
    return Folder(
        FolderSource(path=str(path), person_pattern=r"^(?P<person>.+)_\d$", licence="CC0-1.0"), 0
    )


def test_the_original_bytes_lie_where_the_manifest_says(people: Path, tmp_path: Path) -> None:
    assert download(source(people), tmp_path / "raw", shard_size=25) == 60
    reader = ShardReader(tmp_path / "raw")
    rows = list(manifest.rows(tmp_path / "raw" / manifest.NAME, manifest.RAW))
    for row in rows:
        data = reader.read(row["shard"], row["file"])
        assert data == (people / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert (len(data), 80, 80) == (row["bytes"], row["width"], row["height"])
    assert {row["shard"] for row in rows} == {f"shard-0000{index}.zip" for index in range(3)}
    assert {(row["source"], row["licence"]) for row in rows} == {("folder", "CC0-1.0")}
    assert rows[0]["person"] == "person00"


def test_a_second_download_gives_the_same_bytes(people: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        download(source(people), tmp_path / name, shard_size=25)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_file_that_is_no_picture_is_kept_without_a_size(people: Path, tmp_path: Path) -> None:
    (people / "broken_1.jpg").write_bytes(b"broken")
    download(source(people), tmp_path / "raw", shard_size=100)
    rows = list(manifest.rows(tmp_path / "raw" / manifest.NAME))
    assert [row["file"] for row in rows if row["width"] is None] == ["broken_1.jpg"]


class Breaking:
    """A source that fails on the way, as a network or a disk does."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[RawPicture]:
        yield RawPicture("a", "a.png", b"a", None, "test", "none")
        raise UserError("the bucket is gone")


def test_a_failed_download_leaves_what_was_there(people: Path, tmp_path: Path) -> None:
    raw = tmp_path / "out" / "raw"
    download(source(people), raw, shard_size=100)
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    with pytest.raises(UserError, match="the bucket is gone"):
        download(Breaking(), raw, shard_size=100)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before
    assert list(raw.parent.iterdir()) == [raw]
