from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass
class Judge:
    """dlib's opinion of a picture, independent of the renderer."""

    detector: dlib.fhog_object_detector
    five_points: dlib.shape_predictor
    many_points: dlib.shape_predictor
    network: dlib.face_recognition_model_v1

    def box(self, image: NDArray[np.uint8]) -> dlib.rectangle | None:
        """The largest face found, small pictures upsampled once."""
        found = self.detector(image, 1 if image.shape[0] < 256 else 0)
        return max(found, key=lambda box: box.area()) if found else None

    def points(self, image: NDArray[np.uint8], box: dlib.rectangle) -> NDArray[np.float64]:
        """Eyes, nose tip and mouth corners, from the 68-point predictor."""
        shape = np.array([(p.x, p.y) for p in self.many_points(image, box).parts()], float)
        eyes = shape[36:42].mean(0), shape[42:48].mean(0)
        return np.array([*eyes, shape[30], shape[48], shape[54]])

    def embedding(self, image: NDArray[np.uint8], box: dlib.rectangle) -> NDArray[np.float64]:
        chip = dlib.get_face_chip(image, self.five_points(image, box))
        return np.array(self.network.compute_face_descriptor(chip))


@pytest.fixture(scope="session")
def judge() -> Judge:
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.submodule_search_locations
    models = Path(next(iter(spec.submodule_search_locations))) / "models"
    return Judge(
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat")),
        dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat")),
    )
