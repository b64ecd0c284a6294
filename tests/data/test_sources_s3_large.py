from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from s3_server import Objects, give_keys, misbehaving, rclone, rclone_program

from sparnet.config import ArchiveLimits, Fetching, S3Source
from sparnet.data.sources import s3
from sparnet.data.sources.patience import Patience
from sparnet.data.sources.s3 import S3
from sparnet.data.sources.store import Store
from sparnet.errors import UserError

NAME, SIZE, PIECE = "set/large.png", 3_500_000, 500_000
CONTENT, OTHER = np.random.default_rng(0).bytes(SIZE), np.random.default_rng(1).bytes(SIZE)
ONCE = Fetching(retries=0, first_wait_s=0.0, timeout_s=5.0, concurrency=2)
needs_rclone = pytest.mark.skipif(rclone_program() is None, reason="rclone is not installed")


@pytest.fixture(autouse=True)
def _small_pieces_and_known_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(s3, "PIECE", PIECE)
    give_keys(monkeypatch, tmp_path)


@pytest.fixture
def objects() -> Iterator[Objects]:
    with misbehaving() as objects:
        objects.files = {NAME: CONTENT}
        yield objects


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A folder that rclone serves as the bucket `faces`."""
    path = tmp_path / "buckets" / "faces"
    (path / NAME).parent.mkdir(parents=True)
    (path / NAME).write_bytes(CONTENT)
    return path


def fetched(
    url: str, state: Path, patience: Patience | None = None, **limits: int
) -> dict[str, bytes]:
    block = S3Source(bucket="faces", prefix="set/", endpoint=url)
    source = S3(block, 0, Store(state), ONCE, ArchiveLimits(**limits), patience)
    return {picture.name: picture.data for picture in source}


def pieces(objects: Objects) -> list[str | None]:
    return sorted(asked for _, asked in objects.gets if asked)


def asked(first: int, last: int) -> str:
    return f"bytes={first}-{last}"


def test_a_large_object_comes_in_pieces(objects: Objects, tmp_path: Path) -> None:
    assert fetched(objects.url, tmp_path) == {"large.png": CONTENT}
    assert pieces(objects) == sorted(asked(s, s + PIECE - 1) for s in range(0, SIZE, PIECE))
    assert not [path for path in tmp_path.rglob("partial/**/*") if path.is_file()]
    objects.gets.clear()
    assert fetched(objects.url, tmp_path) == {"large.png": CONTENT}
    assert objects.gets == []


def test_after_a_break_only_what_is_missing_is_fetched(objects: Objects, tmp_path: Path) -> None:
    objects.breaks[NAME] = [PIECE, PIECE, PIECE, 100_000]
    with pytest.raises(UserError, match="run it again to go on"):
        fetched(objects.url, tmp_path)
    come = sum(path.stat().st_size for path in tmp_path.rglob("*.d/?*") if path.suffix == "")
    assert 3 * PIECE < come < SIZE
    objects.gets.clear()
    assert fetched(objects.url, tmp_path) == {"large.png": CONTENT}
    ranges = [range.removeprefix("bytes=").split("-") for range in pieces(objects) if range]
    assert sum(int(last) - int(first) + 1 for first, last in ranges) == SIZE - come


@needs_rclone
def test_a_server_that_dies_in_the_middle_is_gone_on_with(bucket: Path, tmp_path: Path) -> None:
    with ExitStack() as running:
        url = running.enter_context(rclone(bucket.parent))
        with pytest.raises(UserError):
            fetched(url, tmp_path / "state", After(4, running.close))
    come = [path.stat().st_size for path in tmp_path.rglob("*.d/?*") if path.suffix == ""]
    assert 0 < sum(come) < SIZE
    with rclone(bucket.parent, urlsplit(url).port or 0) as url:
        assert fetched(url, tmp_path / "state") == {"large.png": CONTENT}


@needs_rclone
@pytest.mark.parametrize("size", [SIZE, SIZE - PIECE - 7])
def test_an_object_that_changes_after_a_break_begins_anew(
    bucket: Path, tmp_path: Path, size: int
) -> None:
    with rclone(bucket.parent) as url:
        with pytest.raises(KeyboardInterrupt):
            fetched(url, tmp_path / "state", After(4, interrupted))
        (bucket / NAME).write_bytes(OTHER[:size])
        assert fetched(url, tmp_path / "state") == {"large.png": OTHER[:size]}
    assert not [path for path in tmp_path.rglob("partial/**/*") if path.is_file()]


def test_a_change_between_two_pieces_is_never_mixed(objects: Objects, tmp_path: Path) -> None:
    def change() -> None:
        objects.files[NAME] = OTHER

    with pytest.raises(UserError, match=r"large\.png: has changed while it was fetched"):
        fetched(objects.url, tmp_path, After(4, change))
    assert fetched(objects.url, tmp_path) == {"large.png": OTHER}


def test_a_break_while_the_pieces_are_joined_is_gone_on_with(tmp_path: Path) -> None:
    store = Store(tmp_path)
    part = store.partial("key")
    part.start({"etag": "a"}, 10)
    for start in (0, 4):
        with part.piece(start, 4).appending() as stream:
            stream.write(b"01234567"[start : start + 4])
    with part.appending() as stream:
        stream.write(b"01")
    again = store.partial("key")
    for start in (0, 4):
        again.join(start, again.piece(start, 4))
    assert again.path.read_bytes() == b"01234567"


def test_a_server_that_ignores_ranges_is_good_enough(objects: Objects, tmp_path: Path) -> None:
    objects.ignores_ranges = True
    assert fetched(objects.url, tmp_path) == {"large.png": CONTENT}


@needs_rclone
def test_archives_below_the_prefix_are_opened(bucket: Path, tmp_path: Path, capsys) -> None:
    members = {"a.png": CONTENT[:1000], "deep/b.jpg": CONTENT[1000:3000], "notes.txt": b"text"}
    (bucket / "set/one.zip").write_bytes(zipped(members))
    (bucket / "set/deep").mkdir()
    (bucket / "set/deep/two.tar.gz").write_bytes(tarred(members))
    (bucket / "set/.hidden.zip").write_bytes(b"no archive")
    with rclone(bucket.parent) as url:
        found = fetched(url, tmp_path / "state")
    inside = {name: data for name, data in members.items() if name != "notes.txt"}
    wanted = {
        f"{pack}/{name}": inside[name] for pack in ("one.zip", "deep/two.tar.gz") for name in inside
    }
    assert found == {"large.png": CONTENT, **wanted}
    told = capsys.readouterr().err
    assert "s3://faces/set/: 1 objects passed over" in told
    assert "s3://faces/set/one.zip: 1 files passed over" in told


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"../a.png": b"x"}, r"'\.\./a\.png' leads out"),
        ({f"{n}.png": b"x" for n in range(9)}, r"more than 5 members; raise download\.archive_lim"),
        ({}, "no pictures in it"),
    ],
)
def test_an_archive_is_as_safe_as_from_a_web_server(
    objects: Objects, tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    objects.files["set/one.zip"] = zipped(members)
    with pytest.raises(UserError, match=rf"^s3://faces/set/one\.zip: .*{reason}"):
        fetched(objects.url, tmp_path, members=5)


class After(Patience):
    """Does something after so many looks."""

    def __init__(self, looks: int, does: Callable[[], object]) -> None:
        super().__init__(ONCE)
        self._left = looks
        self._does = does

    def check(self) -> None:
        super().check()
        self._left -= 1
        if self._left == 0:
            self._does()


def interrupted() -> None:
    raise KeyboardInterrupt


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()
