from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sparnet import images, models
from sparnet.errors import UserError
from sparnet.faces.detection import Detector
from sparnet.images import Picture
from sparnet.inference import Restorer
from sparnet.inference.restorer import NoFaceFound
from sparnet.models import checkpoint


class Unchanged:
    """A backend that gives back what it gets, and remembers the batches."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: Picture) -> Picture:
        self.shapes.append(batch.shape)
        return batch


class Painted(Unchanged):
    """Restores everything to white."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return np.full_like(batch, 255)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture
def square() -> Unchanged:
    """Framed as for SPARNet, large enough for the astronaut's face to lose nothing."""
    return Unchanged("sparnet", 384)


@pytest.fixture
def turned() -> Unchanged:
    """Framed as for SPARNetHD."""
    return Unchanged("sparnethd", 512)


@pytest.fixture(scope="module")
def group(astronaut: np.ndarray) -> np.ndarray:
    """The astronaut three times, in three sizes."""
    head = astronaut[10:250, 100:340]
    photo = np.full((340, 640, 3), 120, np.uint8)
    for side, left in ((300, 10), (200, 320), (110, 525)):
        rows = np.arange(side) * 240 // side
        photo[20 : 20 + side, left : left + side] = head[rows][:, rows]
    return photo


@pytest.fixture(scope="module")
def smooth(astronaut: np.ndarray) -> np.ndarray:
    """The astronaut's head, enlarged, without detail that resampling could lose."""
    return cv2.GaussianBlur(images.resize(astronaut[0:256, 96:352], (512, 512)), (0, 0), 4)


@pytest.mark.parametrize("upscale", [1, 2])
@pytest.mark.parametrize("framing", ["square", "turned"])
def test_a_network_that_changes_nothing_gives_the_photograph_back(
    request: pytest.FixtureRequest,
    detector: Detector,
    smooth: np.ndarray,
    framing: str,
    upscale: int,
) -> None:
    restorer = Restorer(request.getfixturevalue(framing), detector)
    restoration = restorer(smooth, upscale=upscale)
    expected = images.resize(smooth, (512 * upscale, 512 * upscale))
    assert len(restoration.faces) == 1
    assert restoration.image.shape == expected.shape
    difference = np.abs(restoration.image.astype(int) - expected)
    assert difference.max() <= upscale, "Pillow itself rounds twice when it enlarges"
    assert (difference <= 1).mean() > 0.999


@pytest.mark.parametrize("framing", ["square", "turned"])
def test_only_the_face_changes(
    request: pytest.FixtureRequest, detector: Detector, astronaut: np.ndarray, framing: str
) -> None:
    backend = request.getfixturevalue(framing)
    restoration = Restorer(Painted(backend.name, backend.size), detector)(astronaut)
    [face] = restoration.faces
    x, y = face.points[4].round().astype(int)
    assert (restoration.image[y - 20 : y + 10, x - 20 : x + 20] == 255).all()
    assert_array_equal(restoration.image[300:], astronaut[300:])
    assert_array_equal(restoration.image[:, 400:], astronaut[:, 400:])


def test_a_turned_head_is_framed_upright_and_pasted_where_it_was(
    detector: Detector, smooth: np.ndarray, turned: Unchanged
) -> None:
    turn = cv2.getRotationMatrix2D((252, 240), 20, 1)
    turn[:, 2] += (20, 30)
    photo = cv2.warpAffine(smooth, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    restoration = Restorer(turned, detector)(photo)
    [face] = restoration.faces
    [framed] = detector.detect(face.lr)
    slope = framed.right_eye - framed.left_eye
    assert abs(np.degrees(np.arctan2(slope[1], slope[0]))) < 4
    assert np.abs(restoration.image.astype(int) - photo).max() <= 1


def test_every_face_is_restored_in_one_batch_largest_first(
    detector: Detector, group: np.ndarray, square: Unchanged
) -> None:
    restoration = Restorer(square, detector)(group)
    assert square.shapes == [(3, 384, 384, 3)]
    widths = [face.box[2] - face.box[0] for face in restoration.faces]
    assert widths == sorted(widths, reverse=True)
    painted = Restorer(Painted("sparnet", 64), detector)(group).image
    for face in restoration.faces:
        x, y = face.points[4].round().astype(int)
        assert (painted[y, x] == 255).all()


@pytest.mark.parametrize("framing", ["square", "turned"])
def test_a_face_cut_by_the_edge_is_restored_without_a_dark_seam(
    request: pytest.FixtureRequest, detector: Detector, smooth: np.ndarray, framing: str
) -> None:
    photo = np.ascontiguousarray(smooth[140:, 140:])
    restoration = Restorer(request.getfixturevalue(framing), detector)(photo)
    assert restoration.faces
    difference = np.abs(restoration.image.astype(int) - photo)
    assert difference.max() <= 2
    assert (difference <= 1).mean() > 0.999


@pytest.mark.parametrize("aligned", [False, True])
def test_the_given_picture_is_not_written_to(
    detector: Detector, astronaut: np.ndarray, aligned: bool
) -> None:
    before = astronaut.copy()
    Restorer(Painted("sparnet", 64), detector)(astronaut, aligned=aligned)
    assert_array_equal(astronaut, before)


def test_a_picture_without_a_face_is_an_error_that_names_the_way_out(square: Unchanged) -> None:
    with pytest.raises(UserError, match=r"no face was found.*aligned=True") as caught:
        Restorer(square)(np.full((100, 120, 3), 90, np.uint8))
    assert isinstance(caught.value, NoFaceFound)
    assert square.shapes == []


@pytest.mark.parametrize("shape", [(16, 16), (128, 128), (40, 30), (1, 1)])
def test_an_aligned_picture_is_enlarged_as_pillow_does_and_comes_back_at_the_networks_size(
    astronaut: np.ndarray, shape: tuple[int, int]
) -> None:
    face = images.resize(astronaut[60:200, 150:290], shape[::-1])
    restoration = Restorer(Unchanged("sparnet", 128))(face, aligned=True)
    assert_array_equal(restoration.image, images.resize(face, (128, 128)))
    [only] = restoration.faces
    assert only.box == (0, 0, shape[1], shape[0])
    assert only.score is None
    assert_array_equal(only.lr, only.sr)


@pytest.mark.parametrize(
    "picture", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)]
)
def test_arrays_that_are_no_pictures_are_refused(square: Unchanged, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8 HxWx3"):
        Restorer(square)(picture)


def test_an_impossible_upscale_is_refused(square: Unchanged, astronaut: np.ndarray) -> None:
    with pytest.raises(UserError, match="upscale 9: must be 1, 2, 3 or 4"):
        Restorer(square)(astronaut, upscale=9)


def test_a_weights_file_restores_as_the_network_in_memory(
    tmp_path: Path, detector: Detector, astronaut: np.ndarray
) -> None:
    torch.manual_seed(0)
    model = models.create(
        "sparnethd",
        size=64,
        min_channels=8,
        max_channels=16,
        min_feature_size=16,
        residual_depth=1,
        bottleneck_size=8,
    ).eval()
    checkpoint.save(model, tmp_path / "tiny.safetensors")
    loaded = Restorer.from_pretrained(tmp_path / "tiny.safetensors", "cpu", detector)
    photo = loaded(astronaut)
    assert photo.image.shape == (512, 512, 3)
    assert photo.faces[0].sr.shape == (64, 64, 3)
    assert_array_equal(photo.image, Restorer(model, detector)(astronaut).image)
    assert loaded(photo.faces[0].lr[::4, ::4], aligned=True).image.shape == (64, 64, 3)


def test_missing_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors"):
        Restorer.from_pretrained(tmp_path / "none.safetensors")
