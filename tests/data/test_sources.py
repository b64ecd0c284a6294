from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sparnet.config import Download, FolderSource, SyntheticSource
from sparnet.data import sources
from sparnet.data.sources import Folder, RawPicture, Synthetic
from sparnet.errors import UserError
from sparnet.images import read

PERSON = r"^(?P<person>.+)_\d+$"


def folder(path: Path, seed: int = 0, **options: object) -> list[RawPicture]:
    source = Folder(FolderSource.model_validate({"path": str(path)} | options), seed)
    pictures = list(source)
    assert len(pictures) == len(source)
    return pictures


def test_a_folder_is_searched_for_every_kind_of_picture(tmp_path: Path, write_picture) -> None:
    for index, name in enumerate(["b.PNG", "a.jpg", "deep/er/c.webp", "d.tif", "e.bmp", "f.gif"]):
        write_picture(tmp_path / name, seed=index)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._a.jpg").write_bytes(b"a file manager's")
    (tmp_path / ".hidden").mkdir()
    write_picture(tmp_path / ".hidden" / "g.png", seed=9)
    names = [picture.name for picture in folder(tmp_path)]
    assert names == ["a.jpg", "b.PNG", "d.tif", "deep/er/c.webp", "e.bmp", "f.gif"]


def test_bytes_are_passed_on_untouched_readable_or_not(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    (tmp_path / "empty.heic").write_bytes(b"")
    assert [picture.data for picture in folder(tmp_path)] == [b"broken", b""]


def test_ids_are_unique_safe_and_depend_on_the_relative_path_alone(
    tmp_path: Path, write_picture
) -> None:
    names = ["x/a b.png", "y/a b.png", "a b.png", "a-b.png", "a b.jpg", "é.png", "ü.png"]
    for root in ("one", "two"):
        for name in names:
            write_picture(tmp_path / root / name, seed=0, width=4, height=4)
    ids = [picture.id for picture in folder(tmp_path / "one")]
    assert len(set(ids)) == len(names)
    assert all(id.isascii() and id.replace("-", "").isalnum() for id in ids)
    assert ids == [picture.id for picture in folder(tmp_path / "two")]
    (tmp_path / "one" / "0.png").write_bytes(b"new")
    assert set(ids) < {picture.id for picture in folder(tmp_path / "one")}


def test_a_name_that_is_no_text_gets_a_name_that_is(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9_1.png"
    try:
        path.write_bytes(b"latin-1")
    except (OSError, UnicodeError):
        pytest.skip("the file system takes text names only")
    (picture,) = folder(tmp_path, person_pattern=PERSON)
    assert picture.name == f"{picture.id}.png"
    assert picture.person is not None
    picture.person.encode()


def test_the_pattern_names_the_person(tmp_path: Path, write_picture) -> None:
    for name in ("Ada_L_0001", "Ada_L_0002", "unknown"):
        write_picture(tmp_path / f"{name}.png", seed=0)
    persons = [picture.person for picture in folder(tmp_path, person_pattern=PERSON)]
    assert persons == ["Ada_L", "Ada_L", None]
    assert {picture.person for picture in folder(tmp_path)} == {None}


def test_a_pattern_that_never_fits_is_a_mistake(people: Path) -> None:
    with pytest.raises(UserError, match=r"person_pattern.*names a person in no file"):
        folder(people, person_pattern=r"^(?P<person>[A-Z]+)$")


@pytest.mark.parametrize("limit", [1, 2, 7, 20, 60, 100])
def test_the_limit_takes_whole_persons(people: Path, limit: int) -> None:
    if limit == 1:
        with pytest.raises(UserError, match=r"limit: no person has only 1 pictures"):
            folder(people, person_pattern=PERSON, limit=limit)
        return
    counts = Counter(p.person for p in folder(people, person_pattern=PERSON, limit=limit))
    assert set(counts.values()) == {2}
    assert counts.total() == min(60, limit // 2 * 2)


def test_the_limit_chooses_by_hash_and_seed(people: Path) -> None:
    def chosen(seed: int, limit: int = 20) -> set[str]:
        return {picture.id for picture in folder(people, seed, person_pattern=PERSON, limit=limit)}

    assert chosen(0) == chosen(0)
    assert chosen(0) != chosen(1)
    assert chosen(0) < chosen(0, limit=40)


def test_without_a_pattern_the_limit_counts_pictures(people: Path) -> None:
    assert len(folder(people, limit=7)) == 7


def test_links_are_followed_only_inside_the_folder(tmp_path: Path, write_picture, capsys) -> None:
    outside = write_picture(tmp_path / "outside" / "secret.png", seed=0)
    root = tmp_path / "root"
    inside = write_picture(root / "face.png", seed=1)
    (root / "again.png").symlink_to(inside)
    (root / "secret.png").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "gone.png").symlink_to(root / "nothing.png")
    assert [picture.name for picture in folder(root)] == ["again.png", "face.png"]
    assert "1 links" in capsys.readouterr().err


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder; set download\.folder\.path"):
        folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no pictures in it"):
        folder(tmp_path)


def test_rendered_faces_are_the_same_for_any_number_of_workers() -> None:
    block = SyntheticSource(people=3, pictures_per_person=2, size=64)
    alone, parallel = list(Synthetic(block, seed=5)), list(Synthetic(block, seed=5, workers=2))
    assert alone == parallel
    assert [picture.id for picture in alone[:3]] == ["p00000-00", "p00000-01", "p00001-00"]
    assert [picture.person for picture in alone[:3]] == ["p00000", "p00000", "p00001"]
    assert {read(picture.data).shape for picture in alone} == {(64, 64, 3)}
    assert len({picture.data for picture in alone}) == 6


def test_another_seed_renders_other_people() -> None:
    block = SyntheticSource(people=1, pictures_per_person=1, size=64)
    (one,), (other,) = Synthetic(block, seed=0), Synthetic(block, seed=1)
    assert not np.array_equal(read(one.data), read(other.data))


def test_the_parameters_choose_the_source(people: Path) -> None:
    both = {
        "synthetic": {"people": 1, "pictures_per_person": 1, "size": 64},
        "folder": {"path": str(people)},
    }
    assert isinstance(
        sources.create(Download.model_validate({"source": "folder"} | both), seed=0), Folder
    )
    assert isinstance(
        sources.create(Download.model_validate({"source": "synthetic"} | both), seed=0), Synthetic
    )
