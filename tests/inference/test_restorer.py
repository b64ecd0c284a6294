from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from small_model import SMALL

from sparnet import images, models
from sparnet.errors import UserError
from sparnet.faces import alignment
from sparnet.faces.detection import Detector, Face
from sparnet.faces.framing import Frame
from sparnet.images import Picture
from sparnet.inference import Restorer
from sparnet.inference.confidence import Confidence, judge
from sparnet.inference.finding import Found
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


class Brighter(Unchanged):
    """Adds 20 levels."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return np.minimum(batch, 235) + np.uint8(20)


class Sharper(Unchanged):
    """Doubles the contrast of what is fine."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return np.stack(
            [cv2.addWeighted(face, 2, cv2.GaussianBlur(face, (0, 0), 3), -1, 0) for face in batch]
        )


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


@pytest.mark.parametrize("upscale", [1, 2, 4])
@pytest.mark.parametrize("backend", [("sparnet", 16), ("sparnet", 128), ("sparnethd", 512)])
def test_a_network_that_changes_nothing_gives_the_photograph_back(
    detector: Detector, astronaut: np.ndarray, backend: tuple[str, int], upscale: int
) -> None:
    restoration = Restorer(Unchanged(*backend), detector)(astronaut, upscale=upscale)
    assert len(restoration.faces) == 1
    expected = images.resize(astronaut, (512 * upscale, 512 * upscale))
    assert_array_equal(restoration.image, expected)


@pytest.mark.parametrize("framing", ["square", "turned"])
def test_only_the_face_changes(
    request: pytest.FixtureRequest, detector: Detector, astronaut: np.ndarray, framing: str
) -> None:
    backend = request.getfixturevalue(framing)
    restoration = Restorer(Painted(backend.name, backend.size), detector)(astronaut)
    [face] = restoration.faces
    x, y = face.points[4].round().astype(int)
    assert restoration.image[y - 20 : y + 10, x - 20 : x + 20].mean() > 250
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
    assert_array_equal(restoration.image, photo)


@pytest.mark.parametrize("framing", ["square", "turned"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photograph_that_lies_on_its_side_is_restored_where_it_was(
    detector: Detector, astronaut: np.ndarray, framing: str, quarters: int, request
) -> None:
    backend = request.getfixturevalue(framing)
    changed = Brighter(backend.name, backend.size)
    upright = Restorer(changed, detector)(astronaut)
    turned = Restorer(changed, detector)(np.ascontiguousarray(np.rot90(astronaut, quarters)))
    difference = np.rot90(turned.image, -quarters).astype(int) - upright.image
    assert np.abs(difference).mean() < 0.2
    [face] = turned.faces
    assert np.abs(face.lr.astype(int) - upright.faces[0].lr).mean() < 12, "the face is upright"
    left, top, right, bottom = face.box
    x, y = face.points[4]
    assert left < x < right
    assert top < y < bottom


def test_small_faces_of_a_large_photograph_are_found_on_request(
    detector: Detector, astronaut: np.ndarray
) -> None:
    head = astronaut[10:250, 100:340]
    photo = np.full((1500, 4300, 3), 110, np.uint8)
    photo[100:1060, 100:1060] = images.resize(head, (960, 960))
    for left in (1500, 2600, 4000):
        photo[700:890, left : left + 190] = images.resize(head, (190, 190))
    restorer = Restorer(Unchanged("sparnethd", 64), detector)
    assert len(restorer(photo, paste=False).faces) == 1
    only_small = restorer(np.ascontiguousarray(photo[:, 2500:]), paste=False).faces
    assert len(only_small) == 2, "there is no larger face to be content with"
    large, *small = restorer(photo, small_faces=True, paste=False).faces
    assert large.box[2] - large.box[0] > 300
    assert sorted(round(face.box[0] - 1500, -2) for face in small) == [100, 1200, 2600]


def test_lying_and_tilted_faces_beside_an_upright_one_are_restored_on_request(
    detector: Detector, astronaut: np.ndarray
) -> None:
    head = astronaut[0:240, 104:344]
    tilt = cv2.getRotationMatrix2D((120, 120), 60, 0.9)
    tilted = cv2.warpAffine(head, tilt, (240, 240), borderMode=cv2.BORDER_REFLECT)
    photo = np.concatenate([head, np.rot90(head, 3), np.rot90(head, 2), tilted], axis=1)
    backend = Brighter("sparnethd", 128)
    restorer = Restorer(backend, detector)
    [upright] = restorer(photo, paste=False).faces
    restoration = restorer(photo, turned_faces=True)
    faces = sorted(restoration.faces, key=lambda face: face.box[0])
    assert [int(face.points[4][0]) // 240 for face in faces] == [0, 1, 2, 3]
    for face in faces:
        assert np.abs(face.lr.astype(int) - upright.lr).mean() < 15, "the face is upright"
        x, y = face.points[4].astype(int)
        changed = restoration.image[y - 5 : y + 5, x - 5 : x + 5].astype(int)
        assert np.median(changed - photo[y - 5 : y + 5, x - 5 : x + 5]) == 20


def test_an_upright_face_is_restored_once_however_often_it_is_seen(
    detector: Detector, astronaut: np.ndarray, group: np.ndarray
) -> None:
    restorer = Restorer(Unchanged("sparnethd", 64), detector)
    assert len(restorer(astronaut, turned_faces=True, paste=False).faces) == 1
    assert len(restorer(group, turned_faces=True, paste=False).faces) == 3


@pytest.mark.parametrize("degrees", [0, 14, 40])
@pytest.mark.parametrize("scale", [0.7, 1.6])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_scaled_mirrored_face_is_put_back_where_it_was(
    detector: Detector, astronaut: np.ndarray, degrees: float, scale: float, mirrored: bool
) -> None:
    """The restorer sharpens: what it gives back must fit over the sharp photograph."""
    picture = np.ascontiguousarray(astronaut[:, ::-1]) if mirrored else astronaut
    centre = (511 - 224, 120) if mirrored else (224, 120)
    turn = cv2.getRotationMatrix2D(centre, degrees, scale)
    turn[:, 2] += 256 - np.array(centre)
    photo = cv2.warpAffine(picture, turn, (512, 512), borderValue=(90, 90, 90))

    restoration = Restorer(Sharper("sparnethd", 256), detector)(photo)
    assert any(np.hypot(*(face.points[4] - 256)) < 60 for face in restoration.faces)
    window = np.s_[224:288, 224:288]
    before, after = (
        cv2.cvtColor(each[window], cv2.COLOR_RGB2GRAY).astype(np.float32)
        for each in (photo, restoration.image)
    )
    assert np.abs(after - before).mean() > 1
    window_of = cv2.createHanningWindow((64, 64), cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(before, after, window_of)
    assert np.hypot(*shift) < 0.25


def test_a_restorer_that_changes_the_brightness_leaves_no_seam(
    detector: Detector, astronaut: np.ndarray
) -> None:
    photo = (astronaut * 0.6 + 40).astype(np.uint8)
    restoration = Restorer(Brighter("sparnethd", 128), detector)(photo)
    change = np.median(restoration.image.astype(int) - photo, axis=2)
    steepest = max(np.abs(np.diff(change, axis=axis)).max() for axis in (0, 1))
    assert change.max() >= 20
    assert steepest <= 4, "20 levels over the width of the feather, and rounding"


def test_matched_colours_undo_a_change_of_brightness(
    detector: Detector, smooth: np.ndarray
) -> None:
    photo = (smooth * 0.6 + 40).astype(np.uint8)
    restorer = Restorer(Brighter("sparnet", 128), detector)
    plain, matched = restorer(photo), restorer(photo, match_colour=True)
    assert np.abs(plain.image.astype(int) - photo).max() >= 19
    assert np.abs(matched.image.astype(int) - photo).max() <= 2


def test_two_overlapping_faces_are_each_restored_once(
    detector: Detector, astronaut: np.ndarray
) -> None:
    head = astronaut[40:200, 145:305]
    photo = np.full((320, 420, 3), 90, np.uint8)
    photo[40:280, 20:260] = images.resize(head, (240, 240))
    photo[60:260, 190:390] = images.resize(head, (200, 200))
    restoration = Restorer(Brighter("sparnet", 256), detector)(photo)
    assert len(restoration.faces) == 2
    change = restoration.image.astype(int) - photo
    assert change.max() <= 21, "no pixel is changed twice"
    for face in restoration.faces:
        x, y = face.points[4].round().astype(int)
        assert np.median(change[y - 5 : y + 6, x - 5 : x + 6]) == 20


def test_small_blurred_and_turned_faces_are_trusted_less(
    detector: Detector, astronaut: np.ndarray
) -> None:
    def confidence(photo: np.ndarray) -> Confidence:
        [face] = Restorer(Unchanged("sparnet", 16), detector)(photo).faces
        return face.confidence

    small = images.resize(astronaut, (96, 96))
    assert confidence(astronaut).value > 0.9
    assert confidence(small).value < 0.3
    assert confidence(small).reason == "small"
    blurred = confidence(cv2.GaussianBlur(astronaut, (0, 0), 3))
    assert blurred.value < 0.3
    assert blurred.reason == "blurred"


def test_the_side_of_a_face_is_trusted_less_than_its_front() -> None:
    def face(nose: float) -> Found:
        points = np.array([(80, 40), (60, 40), (20, 40), (40, 40), (nose, 70)], np.float32)
        return Found(Face((0.0, 0.0, 100.0, 100.0), 2.0, points), np.eye(3)[:2])

    grain = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    assert judge(grain, face(50)).pose == 1
    assert judge(grain, face(72)).value == 0
    assert judge(grain, face(72)).reason == "turned away"


def test_a_face_below_the_least_confidence_stays_as_it_was(
    detector: Detector, group: np.ndarray
) -> None:
    painter = Restorer(Painted("sparnet", 64), detector)
    values = sorted(face.confidence.value for face in painter(group).faces)
    restoration = painter(group, min_confidence=(values[0] + values[1]) / 2)
    assert len(restoration.faces) == 2
    assert [left.value for left in restoration.left] == values[:1]
    assert_array_equal(restoration.image[:, 560:], group[:, 560:])
    with pytest.raises(
        NoFaceFound, match=r"none of 1 face.* confidence of 1: the best has 0\..*small"
    ):
        painter(images.resize(group[:, :320], (80, 85)), min_confidence=1)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_an_impossible_confidence_is_refused(
    square: Unchanged, astronaut: np.ndarray, confidence: float
) -> None:
    with pytest.raises(UserError, match="must be from 0 to 1"):
        Restorer(square)(astronaut, min_confidence=confidence)


def test_a_result_of_too_many_pixels_is_refused(square: Unchanged) -> None:
    photo = np.broadcast_to(np.uint8(0), (6000, 6000, 3))
    with pytest.raises(UserError, match="24000x24000 is more than"):
        Restorer(square)(photo, upscale=4)


def test_without_pasting_the_photograph_is_the_given_one(
    detector: Detector, astronaut: np.ndarray
) -> None:
    restoration = Restorer(Painted("sparnet", 64), detector)(astronaut, paste=False, upscale=2)
    assert restoration.image is astronaut
    assert (restoration.faces[0].sr == 255).all()


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
        assert painted[y - 3 : y + 4, x - 3 : x + 4].mean() > 245


@pytest.mark.parametrize("framing", ["square", "turned"])
def test_a_face_cut_by_the_edge_is_restored_without_a_dark_seam(
    request: pytest.FixtureRequest, detector: Detector, smooth: np.ndarray, framing: str
) -> None:
    photo = np.ascontiguousarray(smooth[140:, 140:])
    restoration = Restorer(request.getfixturevalue(framing), detector)(photo)
    assert restoration.faces
    assert_array_equal(restoration.image, photo)
    brighter = Restorer(Brighter("sparnet", 128), detector)(photo).image
    assert np.median(brighter[0, 20:100].astype(int) - photo[0, 20:100]) == 20


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


def test_faces_are_framed_as_the_weights_were_trained(
    tmp_path: Path, detector: Detector, astronaut: np.ndarray
) -> None:
    network = models.create("sparnet", **SMALL)
    for name, margin in (("tight", 1.2), ("wide", 2.4)):
        metadata = {"frame": Frame("box", margin).to_json()}
        checkpoint.save(network, tmp_path / f"{name}.safetensors", metadata)
    tight, wide = (
        Restorer.from_pretrained(tmp_path / f"{name}.safetensors", "cpu", detector)
        for name in ("tight", "wide")
    )
    (near,), (far,) = tight(astronaut).faces, wide(astronaut).faces
    assert alignment.scale_of(near.matrix) == pytest.approx(
        2 * alignment.scale_of(far.matrix), rel=0.02
    )
    assert Restorer(network).frame == Frame.usual("sparnet")
