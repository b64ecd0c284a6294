from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from s3_server import Objects, give_keys, misbehaving, rclone, rclone_program

from sparnet.config import ArchiveLimits, Download, Fetching, S3Source
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.data.sources.patience import Patience
from sparnet.data.sources.s3 import S3
from sparnet.data.sources.store import Store
from sparnet.errors import UserError

LARGE = 3_500_000
QUICK = Fetching(retries=2, first_wait_s=0.0, timeout_s=5.0, concurrency=2)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give_keys(monkeypatch, tmp_path)


def contents() -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    names = [f"set/p{index // 2}_{index % 2}.png" for index in range(10)]
    small = {name: generator.bytes(1000) for name in [*names, "set/notes.txt", "other/x_0.png"]}
    return small | {"set/deep/large é_0.jpg": generator.bytes(LARGE), "set/.hidden.png": b"x"}


@pytest.fixture
def objects() -> Iterator[Objects]:
    with misbehaving() as objects:
        objects.files = contents()
        yield objects


@pytest.fixture(params=["rclone", "small"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server with the same objects: a real one, and ours."""
    if request.param == "small":
        yield request.getfixturevalue("objects").url
        return
    if rclone_program() is None:
        pytest.skip("rclone is not installed")
    for key, content in contents().items():
        path = tmp_path / "buckets" / "faces" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with rclone(tmp_path / "buckets") as url:
        yield url


def settings(endpoint: str, **options: object) -> Download:
    block = {"bucket": "faces", "prefix": "set/", "endpoint": endpoint} | options
    return Download.model_validate(
        {
            "source": "s3",
            "s3": block,
            "fetching": {"retries": 0, "first_wait_s": 0.0, "timeout_s": 5.0, "concurrency": 2},
        }
    )


def run(parameters: Download, folder: Path) -> dict[str, str]:
    source = sources.create(parameters, seed=0, state=folder / "state")
    download(source, folder / "raw", parameters.shard_size)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "raw").iterdir()
    }


def test_the_pictures_below_the_prefix_are_fetched(endpoint, tmp_path: Path, capsys) -> None:
    source = sources.create(
        settings(endpoint, person_pattern=r"^(?P<person>.+)_\d$"), seed=0, state=tmp_path / "state"
    )
    pictures = {picture.name: picture for picture in source}
    wanted = {key.removeprefix("set/"): data for key, data in contents().items() if "set/" in key}
    del wanted["notes.txt"], wanted[".hidden.png"]
    assert {name: picture.data for name, picture in pictures.items()} == wanted
    assert list(pictures) == sorted(pictures)
    assert pictures["p3_1.png"].person == "p3"
    assert "s3://faces/set/: 2 objects passed over: no pictures" in capsys.readouterr().err


class Interrupted(Patience):
    """Ctrl-C after so many looks."""

    looks = 0

    def check(self) -> None:
        super().check()
        self.looks += 1
        if self.looks > 3:
            raise KeyboardInterrupt


def test_after_ctrl_c_the_second_run_ends_in_the_same_bytes(endpoint, tmp_path: Path) -> None:
    parameters = settings(endpoint)
    whole = run(parameters, tmp_path / "whole")
    store = Store(tmp_path / "broken" / "state")
    block = S3Source(bucket="faces", prefix="set/deep/", endpoint=endpoint)
    with pytest.raises(KeyboardInterrupt):
        S3(block, 0, store, QUICK, ArchiveLimits(), Interrupted(QUICK))
    parts = [path.stat().st_size for path in (tmp_path / "broken").rglob("partial/*")]
    assert 1_000_000 < max(parts) < LARGE
    assert run(parameters, tmp_path / "broken") == whole


def test_a_partial_object_goes_on_by_range(objects: Objects, tmp_path: Path) -> None:
    key = "set/deep/large é_0.jpg"
    objects.breaks[key] = [2_000_000]
    with pytest.raises(UserError, match=r"large é_0\.jpg: .*run it again to go on"):
        run(settings(objects.url), tmp_path)
    objects.gets.clear()
    run(settings(objects.url), tmp_path)
    asked = dict(objects.gets)[key]
    assert asked is not None
    first, last = map(int, asked.removeprefix("bytes=").split("-"))
    assert 900_000 < first <= 2_000_000
    assert last == LARGE - 1


def test_unchanged_objects_are_not_fetched_again(objects: Objects, tmp_path: Path) -> None:
    first = run(settings(objects.url), tmp_path)
    objects.gets.clear()
    assert run(settings(objects.url), tmp_path) == first
    assert objects.gets == []
    objects.files |= {"set/new_0.png": b"new", "set/p0_0.png": b"changed"}
    second = run(settings(objects.url), tmp_path)
    assert sorted(objects.gets) == [("set/new_0.png", None), ("set/p0_0.png", None)]
    assert second != first


def test_an_object_that_changed_after_a_break_begins_anew(objects: Objects, tmp_path) -> None:
    key = "set/deep/large é_0.jpg"
    objects.breaks[key] = [2_000_000]
    with pytest.raises(UserError):
        run(settings(objects.url), tmp_path)
    objects.files[key] = np.random.default_rng(9).bytes(LARGE)
    broken = run(settings(objects.url), tmp_path)
    assert broken == run(settings(objects.url), tmp_path / "whole")


def test_a_server_that_is_ill_for_a_while_is_asked_again(objects: Objects, tmp_path) -> None:
    objects.statuses["set/p0_0.png"] = [503]
    objects.breaks["set/deep/large é_0.jpg"] = [1_500_000, 1_000_000]
    store = Store(tmp_path / "state")
    block = S3Source(bucket="faces", prefix="set/", endpoint=objects.url)
    assert len(S3(block, 0, store, QUICK, ArchiveLimits())) == 11


def test_an_object_that_changes_after_the_listing_is_not_taken(objects: Objects, tmp_path) -> None:
    objects.statuses["set/p0_0.png"] = [412]
    with pytest.raises(UserError, match=r"p0_0\.png: has changed while it was fetched"):
        run(settings(objects.url), tmp_path)
    assert run(settings(objects.url), tmp_path)


def test_a_public_bucket_needs_no_keys(objects: Objects, tmp_path: Path, monkeypatch) -> None:
    objects.public = True
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=r"no keys; .*download\.s3\.anonymous"):
        run(settings(objects.url), tmp_path)
    assert run(settings(objects.url, anonymous=True), tmp_path)


def test_a_missing_bucket_is_one_line(endpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^s3://nobody/set/: no such bucket; mend") as told:
        run(settings(endpoint, bucket="nobody"), tmp_path)
    assert "\n" not in str(told.value)


def test_denied_access_is_one_line(endpoint, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-elses")
    with pytest.raises(UserError, match=r"^s3://faces/set/: access denied") as told:
        run(settings(endpoint), tmp_path)
    assert "\n" not in str(told.value)


def test_an_empty_prefix_is_one_line(endpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"faces/none/: no pictures; mend download\.s3\.prefix"):
        run(settings(endpoint, prefix="none/"), tmp_path)


def test_an_unreachable_server_is_one_line(tmp_path: Path) -> None:
    with misbehaving() as objects:
        pass
    with pytest.raises(UserError, match=r"mend download\.s3\.endpoint") as told:
        run(settings(objects.url), tmp_path)
    assert "\n" not in str(told.value)


def test_a_key_that_leads_outside_is_refused(objects: Objects, tmp_path: Path) -> None:
    objects.files["set/../../x.png"] = b"x"
    with pytest.raises(UserError, match="leads out"):
        run(settings(objects.url), tmp_path)


def test_a_bucket_that_cannot_be_one_is_one_line(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^s3://no bucket/set/: .*mend download\.s3") as told:
        run(settings(objects.url, bucket="no bucket"), tmp_path)
    assert "\n" not in str(told.value)
