from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparnet.config import FaceSearch, FolderSource, Prepare, Sizes
from sparnet.data.download import download
from sparnet.data.preparation import prepare, sheet
from sparnet.data.preparation.deciding import REASONS
from sparnet.data.preparation.thumbnails import Thumbnails, address
from sparnet.data.sources import Folder
from sparnet.images import Picture, read

Row = dict[str, Any]


def face(name: str, **facts: Any) -> Row:
    row = dict.fromkeys(sheet.COLUMNS) | {"sharpness": 1.0, "brightness": 120.0}
    own = {"id": name, "picture": name, "file": f"{name}.jpg", "split": "train", "person": name}
    return row | own | {"person_from": "source"} | facts


def refusal(name: str, reason: str, detail: str = "so it is", **facts: Any) -> Row:
    own = {"id": name, "picture": name, "file": f"{name}.jpg"}
    return own | {"reason": reason, "detail": detail} | facts


def colour(row: Row) -> Picture:
    """A plain picture, its own for each raw picture."""
    value = zlib.crc32(row["picture"].encode())
    return np.full((40, 60, 3), [value & 255, value >> 8 & 255, value >> 16 & 255], np.uint8)


THUMBNAILS = Thumbnails(colour, {"whole": colour})


def html_of(
    faces: Sequence[Row],
    refusals: Sequence[Row] = (),
    raw: int | None = None,
    thumbnails: Thumbnails = THUMBNAILS,
) -> str:
    kept = pd.DataFrame(faces, columns=list(sheet.COLUMNS))
    refused = pd.DataFrame(refusals, columns=["id", "picture", "file", "reason", "detail"])
    pictures = len({row["picture"] for row in [*faces, *refusals]}) if raw is None else raw
    return sheet.page(kept, refused, pictures, thumbnails)


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def section(html: str, key: str) -> str:
    """The part of the page below the heading of that id."""
    return html.split(f'<h2 id="{key}">')[1].split("<h2")[0]


def addresses(html: str) -> list[str]:
    return re.findall(r'<img src="([^"]*)"', html)


def files(html: str) -> list[str]:
    return re.findall(r'class="file" title="(\S+)\.jpg ', html)


def test_pictures_and_faces_are_counted_apart_and_add_up() -> None:
    faces = [face("a"), face("b"), face("b~2", picture="b")]
    refusals = [refusal("a~2", "blurred", picture="a"), refusal("c", "no_face")]
    text = text_of(html_of(faces, refusals))
    assert "3 raw pictures = 2 with something kept + 1 refused whole" in text
    assert "5 candidates (faces, and pictures without one) = 3 kept + 2 refused" in text
    assert "They add up" in text


def test_pictures_that_nothing_accounts_for_are_named_loudly() -> None:
    text = text_of(html_of([face("a")], raw=3))
    assert "Not accounted for: 2" in text
    assert "They add up" not in text


def test_splits_and_persons_are_counted() -> None:
    faces = [face("a", person="x"), face("b", person="x"), face("c", split="test")]
    text = text_of(html_of(faces))
    assert "train 2 66.7 % 1" in text
    assert "test 1 33.3 % 1" in text
    assert "kept 3 2" in text
    assert "Nobody is in two splits" in text


def test_a_person_in_two_splits_is_named_loudly() -> None:
    text = text_of(html_of([face("a", person="x"), face("b", person="x", split="test")]))
    assert "Persons in two splits: 1" in text
    assert "Nobody" not in text


def test_every_reason_has_a_title_and_names_a_parameter_that_exists() -> None:
    assert set(sheet.TITLES) == set(REASONS)
    for _, parameter in sheet.TITLES.values():
        block, _, name = (parameter or "min_side").rpartition(".")
        assert name in (FaceSearch if block == "faces" else Prepare).model_fields


def test_reasons_have_sections_in_the_order_in_which_they_are_looked_for() -> None:
    refusals = [refusal("a", "blurred"), refusal("b", "too_small"), refusal("c", "new_reason")]
    html = html_of([face("z")], refusals)
    assert re.findall(r'<h2 id="([^"]*)"', html)[:4] == [
        "too_small",
        "blurred",
        "new_reason",
        "kept",
    ]
    assert files(section(html, "blurred")) == ["a"]
    assert "New reason" in section(html, "new_reason")


def test_of_many_refused_an_even_sample_is_shown_in_the_order_of_what_was_measured() -> None:
    details = [f"sharpness {value}, below 1000" for value in range(1000)]
    refusals = [refusal(f"p{index:03d}", "blurred", detail) for index, detail in enumerate(details)]
    part = section(html_of([face("z")], refusals), "blurred")
    assert "1,000 refused, 48 shown, evenly spread" in text_of(part)
    shown = [int(value) for value in re.findall(r"sharpness (\d+),", part)]
    assert len(shown) == sheet.REFUSED_SHOWN
    assert (shown[0], shown[-1]) == (0, 999)
    assert set(np.diff(shown)) == {21, 22}


def test_a_detail_that_all_share_is_said_once() -> None:
    refusals = [refusal(name, "no_face", "no face is found") for name in "abc"]
    assert section(html_of([face("z")], refusals), "no_face").count("no face is found") == 1


@pytest.mark.parametrize(
    ("reason", "detail"),
    [("near_duplicate", "nearly the picture of best"), ("duplicate", "same file as best")],
)
def test_a_copy_is_shown_beside_the_picture_that_was_kept(reason: str, detail: str) -> None:
    faces = [face("other"), face("best")]
    part = section(html_of(faces, [refusal("copy", reason, detail)]), reason)
    own, best = refusal("copy", reason), face("best")
    assert addresses(part) == [address(colour(own)), address(colour(best))]
    assert "refused kept" in text_of(part)


def test_a_copy_of_a_refused_picture_is_shown_beside_it() -> None:
    refusals = [
        refusal("best", "near_duplicate", "nearly the picture of gone"),
        refusal("copy", "duplicate", "same file as best"),
    ]
    part = section(html_of([face("z")], refusals), "duplicate")
    assert len(addresses(part)) == 2
    assert ">kept<" not in part


def test_a_picture_that_cannot_be_shown_leaves_its_place_empty() -> None:
    thumbnails = Thumbnails(lambda _: None, {"whole": colour})
    part = section(
        html_of([face("z")], [refusal("a", "unreadable")], None, thumbnails), "unreadable"
    )
    assert "no picture" in part
    assert not addresses(part)


def test_kept_faces_are_shown_as_each_framing_cuts_them() -> None:
    light = np.full((8, 8, 3), 255, np.uint8)
    thumbnails = Thumbnails(colour, {"box": colour, "ffhq": lambda _: light})
    part = section(html_of([face("a")], (), 1, thumbnails), "kept")
    assert addresses(part) == [address(colour(face("a"))), address(light)]
    assert "box ffhq" in text_of(part)


def test_the_doubtful_are_those_at_the_end_of_each_measure() -> None:
    faces = [face(f"p{index:02d}", sharpness=float(index), score=-index) for index in range(30)]
    part = section(html_of(faces), "doubtful")
    by_measure = {piece.split("<")[0].strip(): files(piece) for piece in part.split("<h3>")[1:]}
    assert by_measure["Least detail"] == [f"p{index:02d}" for index in range(8)]
    assert by_measure["Least sure to be a face"] == [f"p{29 - index}" for index in range(8)]
    assert "Looks drawn the most" not in by_measure  # none was measured
    assert "Darkest" not in by_measure  # all are the same


def test_of_the_largest_groups_of_a_person_the_least_alike_face_comes_last() -> None:
    generator = np.random.default_rng(0)
    one, stranger = np.eye(128)[:2]
    embeddings = [one + generator.normal(0, 0.01, 128) for _ in range(19)]
    embeddings.insert(7, stranger)
    faces = [
        face(f"p{index:02d}", person="x", embedding=vector / np.linalg.norm(vector))
        for index, vector in enumerate(embeddings)
    ]
    part = section(html_of([*faces, face("alone")]), "persons")
    assert len(files(part)) == sheet.FACES_OF_A_PERSON
    assert files(part)[-1] == "p07"
    assert "20 faces, 6 shown" in text_of(part)
    assert "alone" not in part


def test_the_ten_largest_persons_are_shown_the_largest_first() -> None:
    faces = [
        face(f"p{person:02d}-{index}", person=f"person{person:02d}")
        for person in range(15)
        for index in range(person + 1)
    ]
    part = section(html_of(faces), "persons")
    people = re.findall(r'class="person" title="(\w+)"', part)
    assert people == [f"person{14 - place:02d}" for place in range(sheet.PERSONS_SHOWN)]


def test_the_page_of_nothing_says_so() -> None:
    assert "0 kept + 0 refused" in text_of(html_of([]))
    assert "1 refused" in text_of(html_of([], [refusal("a", "no_face")]))


def test_the_same_rows_in_any_order_give_the_same_bytes() -> None:
    faces = [face(f"p{index}", person=f"x{index % 3}", score=index % 4) for index in range(20)]
    refusals = [refusal(f"r{index}", "blurred", f"{index % 5}, below 9") for index in range(20)]
    assert html_of(faces, refusals) == html_of(faces[::-1], refusals[::-1])


def test_the_page_loads_nothing_and_trusts_no_name() -> None:
    html = html_of([face("a", file="<script>.jpg")], [refusal("b", "drawn", "<b>bold</b>")])
    assert "<script" not in html
    assert "<b>" not in html
    assert not re.findall(r"https?:|@import|url\(", html)
    assert all(each.startswith("data:image/jpeg;base64,") for each in addresses(html))


def test_the_page_of_a_large_collection_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    detailed = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    asked: list[str] = []

    def reading(row: Row) -> Picture:
        asked.append(row["id"])
        return detailed

    count = 6_000
    faces = [
        face(f"f{i}", person=f"x{i % 50}", score=i, sharpness=i, turned=i, drawn=i, blockiness=i)
        for i in range(count)
    ]
    refusals = [
        refusal(f"r{i}", REASONS[i % len(REASONS)], f"nearly the picture of f{i}")
        for i in range(count)
    ]
    html = html_of(faces, refusals, None, Thumbnails(reading, {"box": reading, "ffhq": reading}))
    assert len(html) < 8_000_000
    assert len(asked) < 1000


def test_a_thumbnail_keeps_the_shape_of_its_picture() -> None:
    wide = np.zeros((300, 1200, 3), np.uint8)
    encoded = (address(wide) or "").removeprefix("data:image/jpeg;base64,")
    assert read(base64.b64decode(encoded)).shape == (32, 128, 3)


def test_the_page_of_real_folders_shows_what_lies_in_them(people: Path, tmp_path: Path) -> None:
    (people / "person00_9.png").write_bytes((people / "person00_0.png").read_bytes())
    (people / "person01_9.png").write_bytes(b"no picture")
    block = FolderSource(path=str(people), person_pattern=r"^(?P<person>.+)_\d+$")
    raw, prepared = tmp_path / "raw", tmp_path / "prepared"
    download(Folder(block, 0), raw, shard_size=25)
    settings = Prepare(sizes=Sizes(sparnet=32, sparnethd=64), val=0.2, test=0.2)
    prepare(raw, prepared, settings, 0, 0, tmp_path / "state")
    pages = [tmp_path / name / "index.html" for name in ("first", "second")]
    for path in pages:
        sheet.write(path, raw, prepared, settings.framing_of_size())
    html = pages[0].read_text()
    assert pages[1].read_text() == html
    assert "62 raw pictures = 60 with something kept + 2 refused whole" in text_of(html)
    assert len(addresses(section(html, "duplicate"))) == 2
    assert "no picture" in section(html, "unreadable")
    assert len(addresses(section(html, "kept"))) == sheet.KEPT_SHOWN
