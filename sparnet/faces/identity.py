"""Is it the same person, in the same pose: embeddings, their similarity, landmark error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparnet.faces import alignment, dlib_models
from sparnet.faces.detection import Face
from sparnet.images import Picture

_CHIP_SIZE = 150
_CHIP_PADDING = 0.25
_CHIP_POINTS = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
"""Where the recognition network wants dlib's five points, in units of the unpadded face."""


class Embedder:
    """dlib's recognition network; threads may share it, and it pickles to worker processes."""

    def __init__(self) -> None:
        """Raises UserError where dlib's model files are not installed."""
        path = dlib_models.weights_path(dlib_models.RECOGNITION)
        self._network = dlib_models.Handle(_recognition_network, path)

    def embed(self, rgb: Picture, face: Face) -> NDArray[np.float64]:
        """What makes `face` of the uint8 HxWx3 picture that person: (128,), unit length."""
        return self.embed_chip(chip(rgb, face))

    def embed_chip(self, chip: Picture) -> NDArray[np.float64]:
        """The same of a face that `chip` has cut."""
        with self._network.borrow() as network:
            descriptor = np.array(network.compute_face_descriptor(chip))
        return descriptor / np.linalg.norm(descriptor)


def chip(rgb: Picture, face: Face) -> Picture:
    """The inner face, turned upright and scaled by its points: uint8 150x150x3."""
    return alignment.crop(rgb, alignment.similarity(face.points, _chip_template()), _CHIP_SIZE)


def similarity(a: ArrayLike, b: ArrayLike) -> float:
    """Cosine of two embeddings, -1..1.

    This network's embeddings lie close together: pictures of one person are mostly above 0.9,
    those of two people around 0.8.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def landmark_error(points: ArrayLike, reference: ArrayLike) -> float:
    """Mean distance of points (5, 2), in the order of `Face.points`, from those of `reference`.

    In units of the reference's inter-ocular distance (between the eyes' centres), as landmark
    benchmarks report it.
    """
    found, wanted = np.asarray(points, np.float64), np.asarray(reference, np.float64)
    between_eyes = np.linalg.norm(wanted[0:2].mean(axis=0) - wanted[2:4].mean(axis=0))
    return float(np.linalg.norm(found - wanted, axis=1).mean() / between_eyes)


def _chip_template() -> NDArray[np.float64]:
    return _CHIP_SIZE * (_CHIP_POINTS + _CHIP_PADDING) / (1 + 2 * _CHIP_PADDING)


def _recognition_network(path: str) -> object:
    import dlib

    return dlib.face_recognition_model_v1(path)
