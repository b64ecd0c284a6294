from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparnet.config import FolderSource, Prepare, Sizes
from sparnet.data import manifest
from sparnet.data.download import download
from sparnet.data.preparation import prepare
from sparnet.data.preparation.deciding import SPLITS, split_of
from sparnet.data.shards import ShardReader
from sparnet.data.sources import Folder
from sparnet.errors import UserError
from sparnet.images import encode_png, is_grey, read, resize, square

PERSON = r"^(?P<person>.+)_\d+$"


class Prepared:
    """What `prepare` wrote, read back."""

    def __init__(self, folder: Path, summary: dict[str, Any]) -> None:
        self.folder = folder
        self.summary = summary
        self.faces = manifest.read(folder / manifest.NAME, manifest.PREPARED)
        self.quarantine = manifest.read(folder / manifest.QUARANTINE_NAME, manifest.QUARANTINE)

    def refused(self) -> dict[str, str]:
        return dict(zip(self.quarantine.file, self.quarantine.reason, strict=True))

    def pixels(self, face: Any) -> np.ndarray:
        return read(ShardReader(self.folder).read(face.shard, face.member))


def run(
    pictures: Path,
    folder: Path,
    *,
    workers: int = 0,
    seed: int = 0,
    pattern: str | None = PERSON,
    limit: int = 0,
    **settings: Any,
) -> Prepared:
    raw = folder.with_name(folder.name + "-raw")
    block = FolderSource(path=str(pictures), person_pattern=pattern, limit=limit)
    download(Folder(block, seed), raw, shard_size=25)
    chosen = {"sizes": Sizes(sparnet=32, sparnethd=64), "val": 0.2, "test": 0.2, "shard_size": 20}
    state = folder.with_name(f"{folder.name}-state")
    summary = prepare(raw, folder, Prepare(**(chosen | settings)), seed, workers, state)
    return Prepared(folder, summary)


def assert_counts_add_up(prepared: Prepared) -> None:
    summary, faces = prepared.summary, prepared.faces
    assert summary == json.loads((prepared.folder / manifest.SUMMARY).read_text())
    assert summary["raw"] == summary["kept"] + summary["quarantined"]
    assert summary["quarantined"] == sum(summary["reasons"].values()) == len(prepared.quarantine)
    assert len(faces) == summary["kept"] * len(summary["sizes"])
    for split in SPLITS:
        chosen = faces[faces.split == split]
        assert summary["splits"][split]["pictures"] == chosen.id.nunique() > 0
        assert summary["splits"][split]["persons"] == chosen.person.nunique()


def assert_splits_are_apart(faces: pd.DataFrame) -> None:
    for column in ("id", "person", "sha256", "pixels_sha256"):
        assert faces.groupby(column).split.nunique().max() == 1


def test_every_picture_is_written_at_every_size(people: Path, tmp_path: Path) -> None:
    prepared = run(people, tmp_path / "out")
    assert_counts_add_up(prepared)
    assert_splits_are_apart(prepared.faces)
    assert set(prepared.faces.groupby("id")["size"].agg(tuple)) == {(32, 64)}
    for face in prepared.faces.itertuples():
        pixels = prepared.pixels(face)
        assert pixels.shape == (face.size, face.size, 3)
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == face.pixels_sha256
        assert face.shard.startswith(f"{face.size}-{face.split}-")
        assert face.mean == pytest.approx(pixels.mean(), abs=1e-3)
        assert face.std == pytest.approx(pixels.std(), abs=1e-3)
        assert face.grey == is_grey(pixels)
        assert (face.source_width, face.source_height) == (80, 80)


def test_pixels_are_the_centre_square_resized_by_pillow(
    people: Path, tmp_path: Path, write_picture
) -> None:
    wide = read(write_picture(people / "wide_0.png", seed=99, width=120, height=90))
    prepared = run(people, tmp_path / "out")
    (face,) = prepared.faces[
        prepared.faces.id.str.startswith("wide_0") & (prepared.faces["size"] == 64)
    ].itertuples()
    assert np.array_equal(prepared.pixels(face), resize(wide[:, 15:105], (64, 64), "bicubic"))


def test_any_number_of_workers_writes_the_same_bytes(people: Path, tmp_path: Path) -> None:
    (people / "broken_0.png").write_bytes(b"broken")
    alone, parallel = (run(people, tmp_path / f"out{n}", workers=n) for n in (0, 2))
    files = sorted(path.name for path in alone.folder.iterdir())
    assert files == sorted(path.name for path in parallel.folder.iterdir())
    for name in files:
        assert (alone.folder / name).read_bytes() == (parallel.folder / name).read_bytes()


def test_what_cannot_be_used_is_quarantined_with_its_reason(
    people: Path, tmp_path: Path, write_picture
) -> None:
    (people / "empty_0.jpg").write_bytes(b"")
    (people / "page_0.jpg").write_text("<html>404</html>")
    sound = (people / "person00_0.png").read_bytes()
    (people / "cut_0.png").write_bytes(sound[:-200])
    write_picture(people / "narrow_0.png", seed=70, width=200, height=63)
    shutil.copy(people / "person00_0.png", people / "zz_0.png")
    shutil.copy(people / "empty_0.jpg", people / "zz_empty_0.jpg")
    write_picture(people / "zz_again_0.bmp", seed=1)
    prepared = run(people, tmp_path / "out")
    assert prepared.refused() == {
        "cut_0.png": "unreadable",
        "empty_0.jpg": "unreadable",
        "narrow_0.png": "too_small",
        "page_0.jpg": "unreadable",
        "zz_0.png": "duplicate",
        "zz_again_0.bmp": "duplicate",
        "zz_empty_0.jpg": "unreadable",
    }
    details = dict(zip(prepared.quarantine.file, prepared.quarantine.detail, strict=True))
    assert details["zz_0.png"].startswith("same file as person00_0-")
    assert details["zz_again_0.bmp"].startswith("same pixels as person00_1-")
    assert details["narrow_0.png"] == "200x63, the shorter side is below 64"
    assert_counts_add_up(prepared)
    assert_splits_are_apart(prepared.faces)


def test_pictures_that_become_equal_at_one_size_are_duplicates(
    people: Path, tmp_path: Path
) -> None:
    flat = np.full((128, 128, 3), 100, np.uint8)
    speck = flat.copy()
    speck[64, 64] += 1
    for name, pixels in (("y_0.png", flat), ("z_0.png", speck)):
        (people / name).write_bytes(encode_png(pixels))
    prepared = run(people, tmp_path / "out", sizes=Sizes(sparnet=32, sparnethd=128))
    assert prepared.refused() == {"z_0.png": "duplicate"}
    assert_splits_are_apart(prepared.faces)


def test_a_picture_of_nobody_known_is_its_own_person(people: Path, tmp_path: Path) -> None:
    prepared = run(people, tmp_path / "out", pattern=None)
    assert (prepared.faces.person == "sha256:" + prepared.faces.sha256).all()
    assert prepared.faces.person.nunique() == 60


def test_more_people_move_nobody_to_another_split(
    people: Path, tmp_path: Path, write_picture
) -> None:
    before = run(people, tmp_path / "before").faces
    for index in range(20):
        write_picture(people / f"a_newcomer{index:02d}_0.png", seed=1000 + index)
    after = run(people, tmp_path / "after").faces
    split = after.set_index(["id", "size"]).split
    assert (
        split[pd.MultiIndex.from_frame(before[["id", "size"]])].to_numpy() == before.split
    ).all()


@pytest.mark.parametrize("empty", ["val", "test"])
def test_an_empty_split_says_what_to_change(people: Path, tmp_path: Path, empty: str) -> None:
    with pytest.raises(UserError, match=f"'{empty}'; raise {empty}, add persons or change seed"):
        run(people, tmp_path / "out", **{empty: 1e-9})
    assert not (tmp_path / "out").exists()


def test_no_training_data_says_what_to_change(people: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'train'; lower val and test"):
        run(people, tmp_path / "out", val=0.5, test=0.4999999)


def test_nothing_usable_is_told_with_the_reasons(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(3):
        (pictures / f"{index}.png").write_bytes(bytes([index]))
    with pytest.raises(UserError, match=r"none of its 3 pictures can be used \(3 unreadable"):
        run(pictures, tmp_path / "out", pattern=None)


def test_a_missing_download_is_named(tmp_path: Path) -> None:
    settings = Prepare(sizes=Sizes(), val=0.1, test=0.1)
    with pytest.raises(UserError, match=r"manifest\.parquet: missing"):
        prepare(tmp_path / "raw", tmp_path / "out", settings, 0, 0, tmp_path / "state")


@given(st.text(max_size=10), st.integers(0, 5), st.floats(0.01, 0.4), st.floats(0.01, 0.4))
def test_a_larger_test_share_keeps_who_was_in_it(
    person: str, seed: int, val: float, test: float
) -> None:
    if split_of(person, seed, val, test) == "test":
        assert split_of(person, seed, val, test + 0.1) == "test"


def test_shares_are_kept_among_many_persons() -> None:
    splits = [split_of(f"p{index:05d}", 0, 0.1, 0.2) for index in range(5000)]
    assert splits.count("val") / 5000 == pytest.approx(0.1, abs=0.02)
    assert splits.count("test") / 5000 == pytest.approx(0.2, abs=0.02)
    assert splits != [split_of(f"p{index:05d}", 1, 0.1, 0.2) for index in range(5000)]


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_square_is_the_largest_in_the_middle(height: int, width: int) -> None:
    image = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8)
    cropped = square(image.reshape(height, width, 3))
    side = min(height, width)
    assert cropped.shape == (side, side, 3)
    top, left = (height - side) // 2, (width - side) // 2
    assert np.array_equal(cropped[0, 0], image.reshape(height, width, 3)[top, left])


def test_real_faces_go_all_the_way(shared: Path, tmp_path: Path) -> None:
    prepared = run(
        shared / "faces" / "lfw_gray",
        tmp_path / "out",
        limit=60,
        workers=2,
        sizes=Sizes(sparnet=128, sparnethd=256),
    )
    assert prepared.summary["raw"] == 60
    assert prepared.faces.grey.all()
    assert set(prepared.faces["size"]) == {128, 256}
    assert_counts_add_up(prepared)
    assert_splits_are_apart(prepared.faces)
