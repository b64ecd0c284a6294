from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from sparnet.faces.detection import Detector, Face
from sparnet.faces.identity import Embedder, landmark_error, similarity


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture(scope="module")
def reference(embedder: Embedder, astronaut: np.ndarray, astronaut_face: Face) -> np.ndarray:
    return embedder.embed(astronaut, astronaut_face)


def embedding(detector: Detector, embedder: Embedder, rgb: np.ndarray) -> np.ndarray:
    return embedder.embed(rgb, detector.detect(rgb)[0])


def test_an_embedding_is_a_unit_vector(reference: np.ndarray) -> None:
    assert reference.shape == (128,)
    assert_allclose(np.linalg.norm(reference), 1)


def test_the_same_face_mirrored_or_compressed_stays_the_same_person(
    detector: Detector, embedder: Embedder, astronaut: np.ndarray, reference: np.ndarray
) -> None:
    stream = io.BytesIO()
    Image.fromarray(astronaut).save(stream, "JPEG", quality=40)
    for changed in (np.asarray(Image.open(stream)), np.ascontiguousarray(astronaut[:, ::-1])):
        assert similarity(embedding(detector, embedder, changed), reference) > 0.95


def test_another_person_is_less_similar(
    detector: Detector, embedder: Embedder, reference: np.ndarray, shared: Path
) -> None:
    people = sorted((shared / "faces" / "lfw_gray").iterdir())[::1500]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in people]
    others = [embedding(detector, embedder, rgb) for rgb in pictures if detector.detect(rgb)]
    assert len(others) >= 5
    assert max(similarity(other, reference) for other in others) < 0.9


def test_a_pickled_embedder_embeds_the_same(
    embedder: Embedder, astronaut: np.ndarray, astronaut_face: Face, reference: np.ndarray
) -> None:
    copy = pickle.loads(pickle.dumps(embedder))
    assert_allclose(copy.embed(astronaut, astronaut_face), reference)


def test_similarity_is_the_cosine() -> None:
    assert_allclose(similarity((3, 0), (1, 1)), np.sqrt(0.5))
    assert_allclose(similarity((0, 2), (0, -5)), -1)


def test_landmark_error_counts_in_distances_between_the_eyes(astronaut_face: Face) -> None:
    points = astronaut_face.points
    eyes = np.linalg.norm(astronaut_face.left_eye - astronaut_face.right_eye)
    assert landmark_error(points, points) == 0
    assert_allclose(landmark_error(points + np.array([eyes / 4, 0]), points), 0.25, rtol=1e-5)
    assert_allclose(
        landmark_error(7 * (points + np.array([eyes / 4, 0])), 7 * points), 0.25, rtol=1e-5
    )
