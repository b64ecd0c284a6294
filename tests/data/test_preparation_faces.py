"""Faces found in pictures, judged, and cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

from sparnet.config import FaceSearch, FolderSource, Framings, Prepare, Sizes
from sparnet.data import manifest
from sparnet.data.download import download
from sparnet.data.preparation import prepare
from sparnet.data.renderer import render
from sparnet.data.shards import ShardReader
from sparnet.data.sources import Folder
from sparnet.faces import alignment
from sparnet.faces.detection import Detector
from sparnet.faces.framing import MARGIN, raised
from sparnet.images import read

SIZES = Sizes(sparnet=64, sparnethd=128)


def search(**settings: Any) -> FaceSearch:
    """Rendered people look alike to the network: they are told apart only by a higher limit."""
    return FaceSearch(detector="hog", same_person=0.995, **settings)


class Album:
    """A folder of pictures, and what was made of it; `state` is where looks are kept."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        self._folder = folder
        self._state = state

    def add(self, name: str, pixels: np.ndarray, **options: Any) -> None:
        Image.fromarray(pixels).save(self.pictures / name, **options)

    def prepare(self, name: str = "out", workers: int = 0, **settings: Any) -> Path:
        raw, out = self._folder / f"{name}-raw", self._folder / name
        block = FolderSource(path=str(self.pictures), person_pattern=None)
        download(Folder(block, 0), raw, shard_size=10)
        chosen = {"sizes": SIZES, "faces": search(), "val": 0.3, "test": 0.3}
        prepare(raw, out, Prepare(**(chosen | settings)), 0, workers, self._state)
        return out


def faces_of(folder: Path) -> pd.DataFrame:
    return manifest.read(folder / manifest.FACES_NAME, manifest.FACES)


def refused_in(folder: Path) -> dict[str, str]:
    rows = manifest.read(folder / manifest.QUARANTINE_NAME, manifest.QUARANTINE)
    return dict(zip(rows["file"], rows["reason"], strict=True))


def pixels_of(folder: Path, size: int) -> Iterator[tuple[str, np.ndarray]]:
    rows = manifest.read(folder / manifest.NAME, manifest.PREPARED)
    for row in rows[rows["size"] == size].itertuples():
        yield row.id, read(ShardReader(folder).read(row.shard, row.member))


@pytest.fixture(scope="module")
def people() -> list[np.ndarray]:
    """Twelve rendered people."""
    return [render(1, person, 0, 256).image for person in range(12)]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that no picture is looked at twice."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def mixed(
    tmp_path_factory: pytest.TempPathFactory,
    state: Path,
    astronaut: np.ndarray,
    people: list[np.ndarray],
) -> Path:
    """An album with everything in it, prepared."""
    album = Album(tmp_path_factory.mktemp("mixed"), state)
    for index, face in enumerate(people[:8]):
        album.add(f"person{index}.png", face)
    album.add("astronaut.png", astronaut)
    album.add("astronaut_again.jpg", cv2.resize(astronaut, (440, 440))[:380, 20:], quality=80)
    album.add("astronaut_mirrored.png", cv2.resize(astronaut, (470, 470))[:, ::-1])
    album.add("two.png", np.concatenate(people[8:10], axis=1))
    album.add("upside_down.png", np.ascontiguousarray(people[10][::-1, ::-1]))
    album.add("coffee.jpg", data.coffee())
    album.add("far.png", np.pad(cv2.resize(people[11], (48, 48)), ((90, 90), (90, 90), (0, 0))))
    album.add("blurred.png", cv2.GaussianBlur(people[11], (0, 0), 6))
    return album.prepare(faces=search(min_sharpness=0.05, min_side=64), near_duplicates=40)


def test_what_is_no_good_face_is_quarantined_with_its_reason(mixed: Path) -> None:
    refused = refused_in(mixed)
    assert refused == {
        "astronaut_again.jpg": "near_duplicate",
        "astronaut_mirrored.png": "near_duplicate",
        "upside_down.png": "upside_down",
        "coffee.jpg": "no_face",
        "far.png": "small_face",
        "blurred.png": "blurred",
    }


def test_every_face_of_a_picture_is_taken_as_a_person_of_its_own(mixed: Path) -> None:
    faces = faces_of(mixed)
    both = faces[faces["file"] == "two.png"]
    assert len(both) == 2
    assert both["picture"].nunique() == 1
    assert both["person"].nunique() == both["id"].nunique() == 2
    assert set(faces["file"]) == {f"person{n}.png" for n in range(8)} | {"two.png", "astronaut.png"}


def test_a_box_is_an_upright_square_around_the_face(mixed: Path, astronaut: np.ndarray) -> None:
    (face,) = faces_of(mixed)[lambda rows: rows["file"] == "astronaut.png"].itertuples()
    box = raised((face.left, face.top, face.right, face.bottom))
    box = alignment.fitted(box, MARGIN, 512, 512)
    expected, _ = alignment.crop_square(astronaut, box, SIZES.sparnet)
    assert np.array_equal(dict(pixels_of(mixed, SIZES.sparnet))[face.id], expected)


def test_an_ffhq_face_has_its_eyes_and_nose_where_ffhq_has_them(mixed: Path) -> None:
    detector, template = Detector(), alignment.ffhq_template(SIZES.sparnethd)
    errors = []
    for _, pixels in pixels_of(mixed, SIZES.sparnethd):
        found = detector.detect(pixels)
        errors += [np.linalg.norm(face.points - template, axis=1).mean() for face in found[:1]]
    assert len(errors) >= 8
    assert np.median(errors) < 0.03 * SIZES.sparnethd


def test_a_crop_at_the_edge_keeps_to_the_picture() -> None:
    assert alignment.fitted((90, -10, 130, 30), 1.5, 120, 100) == (60, 0, 120, 60)
    assert alignment.fitted((-20, -20, 220, 220), 1.3, 200, 100) == (50, 0, 150, 100)


def test_pictures_without_a_face_are_taken_whole_where_asked(
    tmp_path: Path, state: Path, people: list[np.ndarray]
) -> None:
    album = Album(tmp_path, state)
    for index, face in enumerate(people):
        album.add(f"person{index}.png", face)
    album.add("coffee.png", data.coffee())
    album.add("upside_down.png", np.ascontiguousarray(people[3][::-1, ::-1]))
    out = album.prepare(faces=search(without_face="whole"))
    faces = faces_of(out).set_index("file")
    assert faces["upside_down"].to_dict()["upside_down.png"] is True
    assert pd.isna(faces["score"]["coffee.png"])
    assert faces["person_from"]["coffee.png"] == "picture"
    whole = dict(pixels_of(out, SIZES.sparnet))[faces["id"]["coffee.png"]]
    expected = Image.fromarray(data.coffee()[:, 100:500]).resize((64, 64), Image.BICUBIC)
    assert np.array_equal(whole, np.asarray(expected))


def test_an_aligned_frame_that_lies_mostly_outside_is_refused(
    tmp_path: Path, state: Path, people: list[np.ndarray], astronaut: np.ndarray
) -> None:
    album = Album(tmp_path, state)
    for index, face in enumerate(people):
        album.add(f"person{index}.png", face)
    album.add("tight.png", astronaut[60:200, 160:300])
    aligned = album.prepare("aligned", faces=search(max_outside=0.3))
    assert refused_in(aligned) == {"tight.png": "cut_off"}
    boxes = search(framing=Framings(sparnet="box", sparnethd="box"))
    assert refused_in(album.prepare("boxes", faces=boxes)) == {}


def test_found_faces_have_the_same_bytes_for_any_number_of_workers(
    tmp_path: Path, state: Path, people: list[np.ndarray]
) -> None:
    outs = []
    for name, workers, memory in (("alone", 0, state), ("parallel", 2, tmp_path / "state")):
        (tmp_path / name).mkdir()
        album = Album(tmp_path / name, memory)
        for index, face in enumerate(people[:8]):
            album.add(f"person{index}.png", face)
        outs.append(album.prepare(workers=workers))
    alone, parallel = outs
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in parallel.iterdir())
    for name in names:
        assert (alone / name).read_bytes() == (parallel / name).read_bytes()
