"""Restore the faces of a photograph, or one picture that is a face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sparnet import images
from sparnet.errors import UserError
from sparnet.faces import alignment
from sparnet.faces.alignment import Box, Matrix
from sparnet.faces.detection import Detector, Face
from sparnet.images import Picture
from sparnet.inference.backends import Backend, TorchBackend
from sparnet.models import checkpoint

SQUARE_ENLARGED = 1.6
SQUARE_RAISED = 0.1
"""The square crop of SPARNet: its side, and how much higher its centre lies, in sides of the
detector's box, which reaches only from brows to chin."""


class NoFaceFound(UserError):
    """The photograph shows no face that the detector can see."""


@dataclass(frozen=True, eq=False)
class RestoredFace:
    """One face of a restored picture.

    box: left, top, right, bottom in pixels of the input. score and points: the detector's (see
    `Face`); None where the whole picture was taken as the face. lr and sr: what the network got
    and gave, uint8 SxSx3 at its size.
    """

    box: Box
    score: float | None
    points: NDArray[np.float32] | None
    lr: Picture
    sr: Picture


@dataclass(frozen=True, eq=False)
class Restoration:
    """The restored picture, uint8 HxWx3, and the faces in it, largest first."""

    image: Picture
    faces: list[RestoredFace]


class Restorer:
    """A network with all that goes around it. Threads may share it."""

    def __init__(self, model: nn.Module | Backend, detector: Detector | None = None) -> None:
        """`model` is a generator (it is copied, and runs on the best device) or a backend.

        Without a `detector` a thorough one is used.
        """
        self._backend = TorchBackend(model) if isinstance(model, nn.Module) else model
        self._detector = detector

    @classmethod
    def from_pretrained(
        cls, path: str | Path, device: str = "auto", detector: Detector | None = None
    ) -> Restorer:
        """The network of a .safetensors file. UserError where the file or device is no good."""
        return cls(TorchBackend(checkpoint.load(Path(path)), device), detector)

    def __call__(self, image: Picture, aligned: bool = False, upscale: int = 1) -> Restoration:
        """Restore a uint8 HxWx3 picture.

        aligned: the whole picture is one face; it is resized to the network's size as Pillow's
        bicubic does, and the result has that size. Otherwise every face that is found is framed,
        restored and put back into the photograph, which is enlarged `upscale` times (1 to 4).
        Networks named sparnethd get faces turned into the FFHQ frame; others get an upright
        square around the detected box (SQUARE_ENLARGED), as SPARNet was trained on.

        Raises NoFaceFound, a UserError, where there is no face; ValueError for another array type.
        """
        _check(image, upscale)
        return self._whole(image) if aligned else self._photograph(image, upscale)

    def _whole(self, image: Picture) -> Restoration:
        size = self._backend.size
        lr = images.resize(image, (size, size))
        sr = self._backend(lr[None])[0]
        box = (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        return Restoration(sr, [RestoredFace(box, None, None, lr, sr)])

    def _photograph(self, image: Picture, upscale: int) -> Restoration:
        if self._detector is None:
            self._detector = Detector(thorough=True)
        found = self._detector.detect(image)
        if not found:
            raise NoFaceFound(
                "no face was found in the picture; if the whole picture is one face, "
                "pass aligned=True (on the command line: --aligned)"
            )
        framed = [self._frame(image, face) for face in found]
        matrices = [matrix for _, matrix in framed]
        restored = self._backend(np.stack([lr for lr, _ in framed]))
        picture = alignment.paste_back(image, list(restored), matrices, upscale)
        faces = [
            RestoredFace(face.box, face.score, face.points, lr, sr)
            for face, (lr, _), sr in zip(found, framed, restored, strict=True)
        ]
        return Restoration(picture, faces)

    def _frame(self, image: Picture, face: Face) -> tuple[Picture, Matrix]:
        size = self._backend.size
        if not self._backend.name.startswith("sparnethd"):
            left, top, right, bottom = face.box
            rise = SQUARE_RAISED * (bottom - top)
            raised = (left, top - rise, right, bottom - rise)
            return alignment.crop_square(image, raised, size, SQUARE_ENLARGED)
        matrix = alignment.similarity(face.points, alignment.ffhq_template(size))
        return alignment.crop(image, matrix, size), matrix


def _check(image: Picture, upscale: int) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture is uint8 HxWx3, not {image.dtype} {image.shape}")
    if upscale not in (1, 2, 3, 4):
        raise UserError(f"upscale {upscale}: must be 1, 2, 3 or 4")
