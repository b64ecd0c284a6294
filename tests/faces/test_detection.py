from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparnet import images
from sparnet.errors import UserError
from sparnet.faces import alignment, detection, dlib_models
from sparnet.faces.detection import Detector, Face


def test_the_astronaut_is_found_with_her_points_in_order(astronaut_face: Face) -> None:
    left, top, right, bottom = astronaut_face.box
    assert 165 < left < 195
    assert 65 < top < 95
    assert 255 < right < 285
    assert 155 < bottom < 185
    assert astronaut_face.points.shape == (5, 2)
    assert astronaut_face.points.dtype == np.float32
    assert len(detection.POINT_NAMES) == 5
    x = astronaut_face.points[:, 0]
    assert x[2] < x[3] < x[4] < x[1] < x[0], "left outer, left inner, nose, right inner, outer"
    assert_allclose(astronaut_face.left_eye, (203, 102), atol=4)
    assert_allclose(astronaut_face.right_eye, (246, 104), atol=4)
    assert astronaut_face.nose[1] > astronaut_face.left_eye[1] + 20
    assert_allclose(astronaut_face.area, (right - left) * (bottom - top))


@pytest.mark.parametrize("size", [64, 128])
def test_a_small_picture_is_enlarged_until_its_face_is_found(
    detector: Detector, astronaut: np.ndarray, astronaut_face: Face, size: int
) -> None:
    template = alignment.ffhq_template(size)
    small = alignment.crop(astronaut, alignment.similarity(astronaut_face.points, template), size)
    [face] = detector.detect(small)
    assert np.abs(face.points - template).max() < 0.012 * size


def test_a_large_picture_is_reduced_and_the_points_scaled_back(
    detector: Detector, astronaut: np.ndarray, astronaut_face: Face
) -> None:
    [face] = detector.detect(images.resize(astronaut, (2560, 2560)))
    expected = (astronaut_face.points + 0.5) * 5 - 0.5
    eyes = 5 * np.linalg.norm(astronaut_face.left_eye - astronaut_face.right_eye)
    assert np.linalg.norm(face.points - expected, axis=1).mean() < 0.04 * eyes


def test_a_face_cut_by_the_edge_of_the_picture_is_found(
    detector: Detector, astronaut: np.ndarray, astronaut_face: Face
) -> None:
    cut = astronaut[84:, 190:]
    face = max(detector.detect(cut), key=lambda face: face.score)
    assert np.abs(face.points + np.array([190, 84]) - astronaut_face.points).max() < 6


def test_several_faces_come_largest_first(detector: Detector, astronaut: np.ndarray) -> None:
    head = astronaut[20:240, 110:330]
    photo = np.full((330, 600, 3), 128, np.uint8)
    photo[10:160, 10:160] = images.resize(head, (150, 150))
    photo[10:310, 280:580] = images.resize(head, (300, 300))
    large, small = detector.detect(photo)
    assert large.area > 2 * small.area
    assert large.nose[0] > 300
    assert small.nose[0] < 160


@pytest.mark.parametrize("shape", [(128, 128), (1, 1), (2, 900)])
def test_a_picture_without_a_face_gives_none(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize("shape", [(33, 1), (1, 400), (4000, 2), (9, 500), (32_000, 10)])
def test_the_thorough_detector_bears_a_picture_too_thin_for_a_face(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert Detector(thorough=True).detect(noise) == []


def test_the_thorough_detector_sees_a_face_that_lies_on_its_side(
    detector: Detector, astronaut: np.ndarray
) -> None:
    lying = np.ascontiguousarray(np.rot90(astronaut[0:256, 96:352]))
    assert detector.detect(lying) == []
    [face] = Detector(thorough=True).detect(lying)
    assert 40 < face.nose[0] < 200


def test_finds_inside_a_larger_face_are_dropped() -> None:
    face, eye, other = (0.0, 0.0, 90.0, 90.0), (10.0, 20.0, 40.0, 50.0), (80.0, 0.0, 150.0, 70.0)
    kept = detection._without_nested([(eye, 2.0), (other, 0.3), (face, 0.5)])
    assert kept == [(face, 0.5), (other, 0.3)]


def test_a_pickled_detector_finds_the_same(detector: Detector, astronaut: np.ndarray) -> None:
    copy = pickle.loads(pickle.dumps(detector))
    for mine, its in zip(detector.detect(astronaut), copy.detect(astronaut), strict=True):
        assert mine.box == its.box
        assert_array_equal(mine.points, its.points)


def test_missing_model_files_are_named_with_the_cure() -> None:
    with pytest.raises(UserError, match=r"nothing.dat: not installed; run `pip install"):
        dlib_models.weights_path("nothing.dat")
