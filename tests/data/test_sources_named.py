from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web_server import Site, serving

from sparnet.config import Download
from sparnet.data import sources
from sparnet.data.sources.named import SETS, Part
from sparnet.errors import UserError

IDENTITIES = b"000001.jpg 2880\n000002.jpg 2937\n000003.jpg 2880\n"


def tar_gz(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return packed.getvalue()


def zipped(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), name)
    return packed.getvalue()


LFW = tar_gz(["lfw/Ada_L/Ada_L_0001.jpg", "lfw/Ada_L/Ada_L_0002.jpg", "lfw/Bo/Bo_0001.jpg"])
CELEBA = zipped([f"img_align_celeba/00000{index}.jpg" for index in (1, 2, 3, 4)])


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with the digests of the small files that stand for the large ones here."""

    def as_here(part: Part, content: bytes) -> Part:
        algorithm = (part.digest or "").partition(":")[0]
        return replace(part, digest=f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    lfw, celeba = SETS["lfw"], SETS["celeba"]
    assert celeba.identities is not None
    monkeypatch.setitem(SETS, "lfw", replace(lfw, pictures=as_here(lfw.pictures, LFW)))
    celeba = replace(celeba, pictures=as_here(celeba.pictures, CELEBA))
    assert celeba.identities is not None
    identities = as_here(celeba.identities, IDENTITIES)
    monkeypatch.setitem(SETS, "celeba", replace(celeba, identities=identities))


def persons(kind: str, folder: Path, **options: object) -> list[tuple[str, str | None]]:
    block = {"accept_licence": True, "folder": str(folder / "pictures")} | options
    settings = Download.model_validate(
        {"source": kind, kind: block, "fetching": {"retries": 0, "first_wait_s": 0.0}}
    )
    source = sources.create(settings, seed=0, state=folder / "state")
    pictures = list(source)
    assert len(pictures) == len(source)
    assert {picture.source for picture in pictures} == {kind}
    assert {picture.licence for picture in pictures} == {SETS[kind].licence}
    return [(picture.name, picture.person) for picture in pictures]


@pytest.mark.parametrize("kind", SETS)
def test_every_entry_is_complete(kind: str) -> None:
    known = SETS[kind]
    assert f"{kind}" in Download.model_fields
    assert re.match(r"https?://\S+$", known.page)
    assert known.title
    assert known.terms
    assert "\n" not in known.terms
    for part in filter(None, (known.pictures, known.identities)):
        assert re.fullmatch(r"[\w.]+", part.name)
        assert re.fullmatch(r"[\d.]+ (MiB|GiB|MB|GB)", part.size)
        assert part.url is None or re.match(r"https://\S+$", part.url)
        assert part.digest is None or re.fullmatch(
            r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", part.digest
        )
        assert part.digest or part.url is None, "nothing is fetched unseen"
    if known.person_pattern:
        assert "person" in re.compile(known.person_pattern).groupindex


@pytest.mark.parametrize("kind", SETS)
def test_terms_that_are_not_accepted_are_shown_in_one_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        persons(kind, tmp_path, accept_licence=False)
    line = str(told.value)
    assert SETS[kind].terms in line
    assert f"set download.{kind}.accept_licence: true" in line
    assert "\n" not in line


@pytest.mark.usefixtures("published")
def test_lfw_is_fetched_and_names_its_persons(site, tmp_path: Path, capsys) -> None:
    site.files["/lfw/lfw.tgz"] = LFW
    for _ in range(2):
        assert persons("lfw", tmp_path, mirror=f"{site.url}/lfw/") == [
            ("lfw/Ada_L/Ada_L_0001.jpg", "Ada_L"),
            ("lfw/Ada_L/Ada_L_0002.jpg", "Ada_L"),
            ("lfw/Bo/Bo_0001.jpg", "Bo"),
        ]
    assert len(site.requests) == 1
    assert SETS["lfw"].terms in capsys.readouterr().err


@pytest.mark.usefixtures("published")
def test_another_file_than_the_published_one_is_not_taken(site, tmp_path: Path) -> None:
    site.files["/lfw.tgz"] = tar_gz(["lfw/Eve/Eve_0001.jpg"])
    with pytest.raises(UserError, match=r"lfw\.tgz: its bytes are not those of sha256:"):
        persons("lfw", tmp_path, mirror=site.url)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "lfw.tgz").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"lfw\.tgz: not lfw\.tgz as published; fetch it again"):
        persons("lfw", tmp_path)


@pytest.mark.parametrize(
    ("kind", "file"), [("celeba", "img_align_celeba.zip"), ("ffhq", "images1024x1024.zip")]
)
def test_what_must_be_fetched_by_hand_is_said_in_one_line(kind, file, tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        persons(kind, tmp_path)
    line = str(told.value)
    for said in (file, SETS[kind].page, "by hand", f"put it into {tmp_path}/pictures/"):
        assert said in line
    assert "\n" not in line


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("unpacked", [False, True])
def test_celeba_put_into_the_folder_knows_its_persons(tmp_path: Path, unpacked: bool) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "img_align_celeba.zip").write_bytes(CELEBA)
    with pytest.raises(UserError, match=r"fetch identity_CelebA\.txt .* by hand"):
        persons("celeba", tmp_path)
    (folder / "identity_CelebA.txt").write_bytes(IDENTITIES)
    if unpacked:
        with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
            archive.extractall(folder)
    found = [(name.rpartition("/")[2], person) for name, person in persons("celeba", tmp_path)]
    assert found == [
        ("000001.jpg", "2880"),
        ("000002.jpg", "2937"),
        ("000003.jpg", "2880"),
        ("000004.jpg", None),
    ]
    assert len(persons("celeba", tmp_path, limit=1)) == 1


def test_ffhq_is_read_from_where_its_script_puts_it(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "images1024x1024" / "00000"
    folder.mkdir(parents=True)
    (folder / "00000.png").write_bytes(b"a face")
    assert persons("ffhq", tmp_path) == [("00000/00000.png", None)]


def test_a_list_of_identities_that_is_none_is_one_line(tmp_path: Path, monkeypatch) -> None:
    celeba = SETS["celeba"]
    unchecked = replace(celeba, identities=Part("identity_CelebA.txt", "3 MiB"))
    monkeypatch.setitem(SETS, "celeba", unchecked)
    (tmp_path / "pictures" / "img_align_celeba").mkdir(parents=True)
    (tmp_path / "pictures" / "img_align_celeba" / "000001.jpg").write_bytes(b"a face")
    (tmp_path / "pictures" / "identity_CelebA.txt").write_bytes(b"<html>sign in here</html>\n")
    with pytest.raises(UserError, match="not a list of pictures and persons"):
        persons("celeba", tmp_path)
