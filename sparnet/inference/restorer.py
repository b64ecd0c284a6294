"""Restore the faces of a photograph, or one picture that is a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sparnet import images
from sparnet.errors import UserError
from sparnet.faces import alignment
from sparnet.faces.alignment import Box, Matrix
from sparnet.faces.detection import Detector
from sparnet.faces.framing import Frame, raised
from sparnet.images import Picture
from sparnet.inference import colour
from sparnet.inference.backends import Backend, TorchBackend
from sparnet.inference.confidence import Confidence, judge
from sparnet.inference.finding import Finder, Found
from sparnet.models import checkpoint

MOST_PIXELS = 256_000_000
"""Of an enlarged photograph."""


class NoFaceFound(UserError):
    """The photograph shows no face that the detector can see, or none that is trusted."""


class NoFaceTrusted(NoFaceFound):
    """There are faces, but none has the confidence that is asked for."""


@dataclass(frozen=True, eq=False)
class RestoredFace:
    """One face of a restored picture.

    box: left, top, right, bottom in pixels of the input. lr and sr: what the network got and gave,
    uint8 SxSx3 at its size. score and points: the detector's (see `Face`); matrix: takes
    coordinates of the input to those of lr; confidence: how far the face can be trusted. These
    are None where the whole picture was taken as the face.
    """

    box: Box
    lr: Picture
    sr: Picture
    score: float | None = None
    points: NDArray[np.float32] | None = None
    matrix: Matrix | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, eq=False)
class Restoration:
    """The restored picture, uint8 HxWx3, and the faces in it, largest first.

    left: what was thought of the faces that were left as they were.
    """

    image: Picture
    faces: list[RestoredFace]
    left: list[Confidence] = field(default_factory=list)


class Restorer:
    """A network with all that goes around it. Threads may share it."""

    def __init__(
        self,
        model: nn.Module | Backend,
        detector: Detector | None = None,
        frame: Frame | None = None,
    ) -> None:
        """`model` is a generator (it is copied, and runs on the best device) or a backend.

        frame: how faces are framed for it; else as usual for a network of its name. Without a
        `detector` a thorough one is used.
        """
        self._backend = TorchBackend(model) if isinstance(model, nn.Module) else model
        self._frame = frame or Frame.usual(self._backend.name)
        self._detector = detector
        self._finder: Finder | None = None

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str = "auto",
        detector: Detector | None = None,
        backend: Backend | None = None,
    ) -> Restorer:
        """The network of a .safetensors file, which says how its faces were framed in training.

        backend: runs in the place of the file's weights, on a device of its own; see
        `OpenVinoBackend`. UserError where the file or device is no good.
        """
        backend = backend or TorchBackend(checkpoint.load(Path(path)), device)
        frame = Frame.parse(checkpoint.info(path)["metadata"].get("frame"))
        return cls(backend, detector, frame)

    @property
    def backend(self) -> Backend:
        """What runs the network."""
        return self._backend

    @property
    def frame(self) -> Frame:
        """How faces are framed for the network."""
        return self._frame

    @property
    def finder(self) -> Finder:
        """What finds the faces of a photograph."""
        if self._finder is None:
            self._finder = Finder(self._detector)
        return self._finder

    def __call__(
        self,
        image: Picture,
        aligned: bool = False,
        upscale: int = 1,
        *,
        min_confidence: float = 0.0,
        match_colour: bool = False,
        small_faces: bool = False,
        turned_faces: bool = False,
        paste: bool = True,
    ) -> Restoration:
        """Restore a uint8 HxWx3 picture.

        aligned: the whole picture is one face; it is resized to the network's size as Pillow's
        bicubic does, and the result has that size. Otherwise every face that is found is framed,
        all are restored in one batch, and put back into the photograph, which is enlarged
        `upscale` times (1 to 4).

        min_confidence: faces below it, 0 to 1, stay as they are. match_colour: faces keep the
        colours that they have in the photograph. small_faces: look closer at a large photograph,
        part by part. turned_faces: look for lying and tilted faces beside upright ones too, not
        only where there are none. Without `paste` the faces are restored, but `image` is the given
        one.

        Raises NoFaceFound, a UserError, where there is no face to restore; UserError for numbers
        out of range; ValueError for another array type.
        """
        _check(image, upscale, min_confidence)
        if aligned:
            return self.whole([image], [match_colour])[0]
        found = self.finder.find(image, small_faces, turned_faces)
        if not found:
            raise NoFaceFound(
                "no face was found in the picture; if the whole picture is one face, "
                "pass aligned=True (on the command line: --aligned)"
            )
        judged = [(face, judge(image, face)) for face in found]
        left = [confidence for _, confidence in judged if confidence.value < min_confidence]
        trusted = [item for item in judged if item[1].value >= min_confidence]
        if not trusted:
            raise NoFaceTrusted(_distrusted(left, min_confidence))
        faces = self._restored(image, trusted, match_colour)
        return Restoration(_pasted(image, faces, upscale) if paste else image, faces, left)

    def whole(self, pictures: Sequence[Picture], match_colour: Sequence[bool]) -> list[Restoration]:
        """Restore pictures that are one aligned face each, together; see `aligned` above."""
        size = self._backend.size
        lrs = [images.resize(picture, (size, size)) for picture in pictures]
        restorations = []
        for picture, lr, sr, match in zip(
            pictures, lrs, self._backend(np.stack(lrs)), match_colour, strict=True
        ):
            sr = colour.matched(sr, lr) if match else sr
            box = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
            restorations.append(Restoration(sr, [RestoredFace(box, lr, sr)]))
        return restorations

    def _restored(
        self, image: Picture, trusted: list[tuple[Found, Confidence]], match_colour: bool
    ) -> list[RestoredFace]:
        framed = [self._framed(image, found) for found, _ in trusted]
        restored = self._backend(np.stack([lr for lr, _ in framed]))
        faces = []
        for (found, confidence), (lr, matrix), sr in zip(trusted, framed, restored, strict=True):
            face = found.placed()
            sr = colour.matched(sr, lr) if match_colour else sr
            restored_face = RestoredFace(
                face.box, lr, sr, face.score, face.points, matrix, confidence
            )
            faces.append(restored_face)
        return faces

    def _framed(self, image: Picture, found: Found) -> tuple[Picture, Matrix]:
        size, frame = self._backend.size, self._frame
        if frame.kind == "box" and not found.turned:
            return alignment.crop_square(image, raised(found.face.box), size, frame.margin)
        matrix = alignment.compose(frame.matrix(found.face, size), found.turning)
        return alignment.crop(image, matrix, size), matrix


def _pasted(image: Picture, faces: list[RestoredFace], upscale: int) -> Picture:
    return alignment.paste_back(
        image,
        [face.lr for face in faces],
        [face.sr for face in faces],
        [face.matrix for face in faces if face.matrix is not None],
        upscale,
    )


def _distrusted(left: list[Confidence], least: float) -> str:
    best = max(left, key=lambda confidence: confidence.value)
    return (
        f"none of {len(left)} face(s) has a confidence of {least:g}: the best has "
        f"{best.value:.2f} ({best.reason}); a lower minimum restores it"
    )


def _check(image: Picture, upscale: int, min_confidence: float) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture is uint8 HxWx3, not {image.dtype} {image.shape}")
    check_numbers(upscale, min_confidence)
    height, width = image.shape[0] * upscale, image.shape[1] * upscale
    if height * width > MOST_PIXELS:
        raise UserError(f"upscale {upscale}: {width}x{height} is more than {MOST_PIXELS} pixels")


def check_numbers(upscale: int, min_confidence: float) -> None:
    """UserError where a photograph or video cannot be restored so."""
    if upscale not in (1, 2, 3, 4):
        raise UserError(f"upscale {upscale}: must be 1, 2, 3 or 4")
    if not 0 <= min_confidence <= 1:
        raise UserError(f"minimum confidence {min_confidence}: must be from 0 to 1")
