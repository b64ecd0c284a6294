from __future__ import annotations

import errno
import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest
from web_server import Act, Site, serving

from sparnet.config import Download, Fetching
from sparnet.data import sources
from sparnet.data.download import download, telling_of_a_full_disk
from sparnet.data.sources.http import Fetcher
from sparnet.data.sources.patience import Patience, Stopped
from sparnet.data.sources.store import Store
from sparnet.errors import UserError
from sparnet.images import encode_png

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
QUICK = Fetching(retries=3, first_wait_s=0.0, timeout_s=5.0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.files["/f.bin"] = CONTENT
        yield site


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def fetch(
    site: Site,
    store: Store,
    fetching: Fetching = QUICK,
    path: str = "/f.bin",
    digest: str | None = None,
) -> bytes:
    return Fetcher(store, fetching).fetch(site.url + path, digest).read_bytes()


def broken_run(site: Site, store: Store, after: int = 100_000, **act: object) -> None:
    """A run that gives up when `after` bytes have come."""
    site.acts["/f.bin"] = [Act(break_after=after, **act)]  # type: ignore[arg-type]
    with pytest.raises(UserError, match="gave up; run it again to go on"):
        fetch(site, store, Fetching(retries=0, first_wait_s=0.0))


def test_a_broken_connection_is_continued_where_it_broke(site, store) -> None:
    site.acts["/f.bin"] = [Act(break_after=100_000), Act(break_after=50_000)]
    assert fetch(site, store) == CONTENT
    assert site.ranges() == [None, "bytes=100000-", "bytes=150000-"]


def test_tries_that_bring_something_do_not_count(site, store) -> None:
    site.acts["/f.bin"] = [Act(break_after=20_000)] * 14
    assert fetch(site, store, Fetching(retries=1, first_wait_s=0.0)) == CONTENT


@pytest.mark.parametrize("validators", [{"ETag"}, {"Last-Modified"}, {"ETag", "Last-Modified"}])
def test_a_second_run_goes_on_where_the_first_was_broken(site, store, validators) -> None:
    site.validators = frozenset(validators)
    broken_run(site, store)
    assert fetch(site, store) == CONTENT
    assert site.ranges() == [None, "bytes=100000-"]
    assert site.statuses() == [200, 206]


def test_without_a_way_to_tell_versions_a_second_run_begins_anew(site, store) -> None:
    site.validators = frozenset()
    broken_run(site, store)
    assert fetch(site, store) == CONTENT
    assert site.ranges() == [None, None]


def test_a_known_hash_makes_going_on_safe(site, store) -> None:
    site.validators = frozenset()
    broken_run(site, store)
    assert fetch(site, store, digest=f"sha256:{sha256(CONTENT)}") == CONTENT
    assert site.ranges() == [None, "bytes=100000-"]


@pytest.mark.parametrize("after", [Act(), Act(ignore_if_range=True), Act(ignore_range=True)])
def test_a_file_that_changes_between_two_tries_is_never_mixed(site, store, after) -> None:
    broken_run(site, store)
    site.files["/f.bin"] = OTHER
    site.acts["/f.bin"] = [after]
    assert fetch(site, store) == OTHER


@pytest.mark.parametrize("size", [50_000, 100_000, 400_000])
@pytest.mark.parametrize("validators", [set(), {"ETag"}, {"Last-Modified"}])
def test_a_change_of_length_is_never_mixed_either(site, store, size, validators) -> None:
    site.validators = frozenset(validators)
    broken_run(site, store)
    site.files["/f.bin"] = (OTHER * 2)[:size]
    site.acts["/f.bin"] = [Act(ignore_if_range=True)]
    assert fetch(site, store) == site.files["/f.bin"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(site, store) -> None:
    site.acts["/f.bin"] = [Act(break_after=100_000), Act(ignore_range=True)]
    assert fetch(site, store) == CONTENT
    assert site.statuses() == [200, 200]


@pytest.mark.parametrize("wrong", ["bytes 7-299999/300000", "bytes 100000-299999/300001", "?"])
def test_another_part_than_the_one_asked_for_is_thrown_away(site, store, wrong) -> None:
    broken_run(site, store)
    site.acts["/f.bin"] = [Act(headers={"Content-Range": wrong})]
    assert fetch(site, store) == CONTENT


def test_a_refused_range_begins_anew(site, store) -> None:
    site.acts["/f.bin"] = [Act(break_after=100_000), Act(status=416)]
    assert fetch(site, store) == CONTENT
    assert site.ranges() == [None, "bytes=100000-", None]


def test_a_server_that_is_ill_for_a_while_is_asked_again(site, store) -> None:
    site.acts["/f.bin"] = [Act(status=500), Act(status=503)]
    assert fetch(site, store) == CONTENT


def test_a_server_that_stays_ill_is_one_line(site, store) -> None:
    site.acts["/f.bin"] = [Act(status=502)] * 9
    with pytest.raises(UserError, match=r"f\.bin: HTTP 502; gave up after 4 tries"):
        fetch(site, store)


def test_waits_double_and_the_server_may_ask_for_its_own(site, store) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    site.acts["/f.bin"] = [
        *(Act(status=503), Act(status=503)),
        *(Act(status=429, headers={"Retry-After": told}) for told in ("7", later, "nonsense")),
    ]
    waits: list[float] = []
    fetching = Fetching(retries=5, first_wait_s=2.0)
    fetcher = Fetcher(store, fetching, Patience(fetching, waits.append))
    assert fetcher.fetch(f"{site.url}/f.bin").read_bytes() == CONTENT
    assert waits[:3] + waits[4:] == [2.0, 4.0, 7.0, 32.0]
    assert 90 < waits[3] <= 100


def test_a_wait_of_hours_is_left_to_the_person(site, store) -> None:
    site.acts["/f.bin"] = [Act(status=429, headers={"Retry-After": "7200"})]
    with pytest.raises(UserError, match="HTTP 429; it asks to come back in 7200 s"):
        fetch(site, store)


def test_a_length_that_is_never_reached_is_noticed(site, store) -> None:
    site.acts["/f.bin"] = [Act(claim=5)] * 20
    with pytest.raises(UserError, match="gave up after 4 tries"):
        fetch(site, store)


def test_a_shorter_length_than_the_file_has_is_found_by_the_hash(site, store) -> None:
    site.acts["/f.bin"] = [Act(claim=-5)]
    with pytest.raises(UserError, match="its bytes are not those of sha256:"):
        fetch(site, store, digest=f"sha256:{sha256(CONTENT)}")


def test_a_length_need_not_be_told(site, store) -> None:
    site.acts["/f.bin"] = [Act(no_length=True)]
    assert fetch(site, store) == CONTENT


def test_what_may_have_been_cut_off_is_fetched_again_by_the_next_run(site, store) -> None:
    site.acts["/f.bin"] = [Act(no_length=True, break_after=100_000)]
    assert fetch(site, store) == CONTENT[:100_000]
    assert fetch(site, store) == CONTENT


def test_a_file_with_a_known_hash_may_come_from_another_address(site, store) -> None:
    fetch(site, store)
    assert fetch(site, store, path="/moved.bin", digest=f"sha256:{sha256(CONTENT)}") == CONTENT
    assert len(site.requests) == 1


def test_redirects_are_followed(site, store) -> None:
    for path in ("/a", "/b"):
        site.acts[path] = [
            Act(status=302, headers={"Location": "/f.bin" if path == "/b" else "/b"})
        ]
    assert fetch(site, store, path="/a") == CONTENT


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/f.bin", "file:///etc/passwd"])
def test_a_redirect_to_another_kind_of_address_is_refused(site, store, location) -> None:
    site.acts["/f.bin"] = [Act(status=302, headers={"Location": location})]
    with pytest.raises(UserError, match="leads to another kind of address"):
        fetch(site, store)


def test_redirects_in_a_circle_are_one_line(site, store) -> None:
    site.acts["/f.bin"] = [Act(status=302, headers={"Location": "/f.bin"})] * 50
    with pytest.raises(UserError, match=r"f\.bin: .*redirects"):
        fetch(site, store)


@pytest.mark.parametrize(
    ("status", "line"), [(404, "no such file"), (403, "access denied"), (401, "password")]
)
def test_what_asking_again_cannot_mend_is_told_at_once(site, store, status, line) -> None:
    site.acts["/f.bin"] = [Act(status=status)]
    with pytest.raises(UserError, match=rf"f\.bin: .*{line}.*HTTP {status}"):
        fetch(site, store)
    assert len(site.requests) == 1


def test_a_key_in_the_address_is_not_shown(site, store) -> None:
    with pytest.raises(UserError, match="no such file") as told:
        fetch(site, store, path="/gone.zip?key=secret")
    assert "secret" not in str(told.value)


def test_an_unreachable_host_is_one_line(store) -> None:
    with serving() as site:
        pass
    with pytest.raises(UserError, match=r"f\.bin: .*gave up after 4 tries") as told:
        fetch(site, store)
    assert "\n" not in str(told.value)


def test_of_a_file_with_another_hash_nothing_is_kept(site, store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its bytes are not those of sha256:"):
        fetch(site, store, digest=f"sha256:{sha256(OTHER)}")
    assert not [path for path in (tmp_path / "state").rglob("*") if path.is_file()]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_with_a_known_hash_is_asked_for_once(site, store, algorithm) -> None:
    digest = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    for _ in range(2):
        assert fetch(site, store, digest=digest) == CONTENT
    assert len(site.requests) == 1


@pytest.mark.parametrize("validators", [{"ETag"}, {"Last-Modified"}])
def test_an_unchanged_file_is_not_sent_again(site, store, validators) -> None:
    site.validators = frozenset(validators)
    for _ in range(2):
        assert fetch(site, store) == CONTENT
    assert site.statuses() == [200, 304]
    site.files["/f.bin"] = OTHER
    assert fetch(site, store) == OTHER


def test_a_kept_file_that_was_damaged_is_fetched_again(site, store, tmp_path: Path) -> None:
    fetch(site, store)
    (blob,) = (path for path in (tmp_path / "state" / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"damaged")
    assert fetch(site, store) == CONTENT


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(site, store, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    broken_run(site, store)
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(UserError, match="the disk is full"), telling_of_a_full_disk():
            fetch(site, store)
    assert fetch(site, store) == CONTENT
    assert site.ranges() == [None, "bytes=100000-"]


def test_a_run_that_is_stopped_keeps_what_has_come(site, store) -> None:
    patience = Patience(QUICK)

    def work(name: str) -> None:
        if name == "bad":
            raise KeyboardInterrupt
        Fetcher(store, QUICK, patience).fetch(f"{site.url}/f.bin")

    site.acts["/f.bin"] = [Act(break_after=100_000)] * 3
    with pytest.raises(KeyboardInterrupt):
        patience.each(["good", "bad"], work, "files")
    with pytest.raises(Stopped):
        patience.check()
    assert fetch(site, store) == CONTENT


def archive(names: list[str], seed: int = 0) -> bytes:
    generator = np.random.default_rng(seed)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for name in names:
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            out.writestr(zipfile.ZipInfo(name), encode_png(pixels))
    return packed.getvalue()


def parameters(site: Site, *paths: str, **options: object) -> Download:
    files = [{"url": site.url + path} for path in paths]
    return Download.model_validate(
        {
            "source": "http",
            "http": {"files": files} | options,
            "fetching": {"retries": 0, "first_wait_s": 0.0},
        }
    )


def run(settings: Download, folder: Path) -> dict[str, str]:
    """The stage's work in `folder`; hashes of what it made."""
    source = sources.create(settings, seed=0, state=folder / "state")
    download(source, folder / "raw", settings.shard_size)
    return {path.name: sha256(path.read_bytes()) for path in (folder / "raw").iterdir()}


def test_after_a_break_the_second_run_ends_in_the_same_bytes(site, tmp_path: Path) -> None:
    site.files["/faces.zip"] = archive([f"p{index // 2}_{index % 2}.png" for index in range(40)])
    site.files["/one_1.png"] = archive(["x.png"])
    settings = parameters(site, "/faces.zip", "/one_1.png", limit=30)
    whole = run(settings, tmp_path / "whole")
    site.acts = {"/faces.zip": [Act(break_after=9_000)], "/one_1.png": [Act(status=500)]}
    with pytest.raises(UserError, match="run it again to go on"):
        run(settings, tmp_path / "broken")
    assert not (tmp_path / "broken" / "raw").exists()
    assert run(settings, tmp_path / "broken") == whole
    assert run(settings, tmp_path / "broken") == whole
    assert site.statuses()[-2:] == [304, 304]


def test_pictures_and_archives_are_named_and_know_their_persons(site, tmp_path: Path) -> None:
    site.files |= {"/a.zip": archive(["Ada_1.png", "x/Ada_2.png", "notes.txt"])}
    site.files |= {"/Bo%20B_1.PNG?size=1": b"", "/Bo%20B_1.PNG": archive(["b.png"])}
    settings = parameters(
        site, "/a.zip", "/Bo%20B_1.PNG?size=1", person_pattern=r"^(?P<person>.+)_\d$", licence="CC0"
    )
    pictures = list(sources.create(settings, seed=0, state=tmp_path))
    assert [(picture.name, picture.person) for picture in pictures] == [
        ("Bo B_1.PNG", "Bo B"),
        ("a.zip/Ada_1.png", "Ada"),
        ("a.zip/x/Ada_2.png", "Ada"),
    ]
    assert {(picture.source, picture.licence) for picture in pictures} == {("http", "CC0")}


@pytest.mark.parametrize("option", [{"limit": 2}, {"limit": 0}])
def test_the_number_of_pictures_is_known_beforehand(site, tmp_path: Path, option) -> None:
    site.files["/a.zip"] = archive(["1.png", "2.png", "3.png"])
    source = sources.create(parameters(site, "/a.zip", **option), seed=0, state=tmp_path)
    assert len(list(source)) == len(source) == (option["limit"] or 3)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (archive(["a.txt"]), "no pictures in it"),
        (b"<html>sign in</html>", "neither a zip nor a tar archive"),
        (b"", "neither a zip nor a tar archive"),
        (b"PK\x03\x04 and so on", "damaged"),
    ],
)
def test_what_is_no_archive_of_pictures_is_one_line(site, tmp_path, content, line) -> None:
    site.files["/a.zip"] = content
    with pytest.raises(UserError, match=rf"/a\.zip: .*{line}") as told:
        sources.create(parameters(site, "/a.zip"), seed=0, state=tmp_path)
    assert "\n" not in str(told.value)


def test_two_files_of_one_name_or_without_one_are_a_mistake(site, tmp_path: Path) -> None:
    for paths, line in (
        (("/a/x.png", "/b/x.png"), "two files are called"),
        (("/a/",), "no name"),
        (("/%2e%2e",), "no name"),
    ):
        with pytest.raises(UserError, match=line):
            sources.create(parameters(site, *paths), seed=0, state=tmp_path)


def test_a_proxy_of_the_environment_is_used(site, store, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    site.files["http://faces.example/f.bin"] = OTHER
    fetcher = Fetcher(store, QUICK)
    assert fetcher.fetch("http://faces.example/f.bin").read_bytes() == OTHER
