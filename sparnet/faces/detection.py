"""Faces in a picture: their boxes and five points, by dlib."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparnet import images
from sparnet.faces import alignment, boxes, dlib_models
from sparnet.faces.alignment import Box
from sparnet.images import Picture

Found = tuple[Box, float]

POINT_NAMES = (
    "right eye, outer corner",
    "right eye, inner corner",
    "left eye, outer corner",
    "left eye, inner corner",
    "base of the nose",
)
"""The order of `Face.points`. Left and right are as seen in the picture."""

ENLARGE_TO = 1_000_000
REDUCE_TO = 3_000_000
MOST_ENLARGED = 4.0
CNN_PIXELS = 100_000
SURE_SCORE = 0.2
CNN_LEAST_SCORE = 0.3
SECOND_SCORE = 0.5
"""What the detector must give a face in a turned photograph, or in a part of it: more looks, more
chances to take something else for one."""

LEAST_SIDE = 10
"""Of a picture: enlarged MOST_ENLARGED times, a thinner one has no room for the least face."""

_CNN_LEAST_SIDE = 24
_PADDING = 1 / 8
_NESTED = 0.6
_CONTEXT = 1.5
_LANDMARK_SIDE = 384


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    box: left, top, right, bottom in pixels, right and bottom exclusive; it may reach beyond the
    picture. score: the detector's, higher is surer. points: float32 (5, 2) pixel coordinates
    (x, y) in the order of POINT_NAMES; the centre of the first pixel is (0, 0).
    """

    box: Box
    score: float
    points: NDArray[np.float32]

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        return boxes.area(self.box)

    @property
    def left_eye(self) -> NDArray[np.float32]:
        """Centre (x, y) of the eye that is on the left in the picture."""
        return self.points[2:4].mean(axis=0)

    @property
    def right_eye(self) -> NDArray[np.float32]:
        """Centre (x, y) of the eye that is on the right in the picture."""
        return self.points[0:2].mean(axis=0)

    @property
    def nose(self) -> NDArray[np.float32]:
        """(x, y) of the base of the nose."""
        return self.points[4]

    @property
    def eye_distance(self) -> float:
        """Between the centres of the eyes, in pixels."""
        return float(np.linalg.norm(self.right_eye - self.left_eye))

    @property
    def turned(self) -> float:
        """How far the face is turned aside: 0 from the front, about 0.5 in half profile.

        The way of the nose from the middle between the eyes, along their line, in eye distances.
        """
        eyes = self.right_eye - self.left_eye
        off = self.nose - (self.right_eye + self.left_eye) / 2
        length = float(eyes @ eyes)
        return abs(float(off @ eyes)) / length if length else float("inf")


class Detector:
    """Finds upright, roughly frontal faces; threads may share it, and it pickles to workers.

    Pictures are looked at between ENLARGE_TO and REDUCE_TO pixels, enlarged MOST_ENLARGED times at
    most, which bounds time and memory; the least face is 80 pixels wide at that resolution.
    A find below SURE_SCORE is often false: the best one counts where none is sure. With `thorough`
    a slower network (seconds a picture) decides instead in that case; it also sees turned, tilted
    and tightly cropped faces.
    """

    def __init__(self, thorough: bool = False) -> None:
        """Raises UserError where dlib's model files are not installed."""
        points = dlib_models.weights_path(dlib_models.FIVE_POINTS)
        cnn = dlib_models.weights_path(dlib_models.CNN_DETECTOR)
        self._hog = dlib_models.Handle(dlib_models.frontal_detector)
        self._landmarks = dlib_models.Handle(dlib_models.shape_predictor, points)
        self._cnn = dlib_models.Handle(dlib_models.cnn_detector, cnn) if thorough else None

    def detect(self, rgb: Picture) -> list[Face]:
        """The faces of a uint8 HxWx3 picture, largest first; an empty list where there is none."""
        found = _without_nested(self._find(rgb))
        return [Face(box, score, self._points(rgb, box)) for box, score in found]

    def _find(self, rgb: Picture) -> list[Found]:
        if min(rgb.shape[:2]) < LEAST_SIDE:
            return []
        found = self._by_hog(rgb)
        sure = [item for item in found if item[1] >= SURE_SCORE]
        if sure:
            return sure
        if self._cnn is not None:
            return self._by_cnn(rgb, self._cnn)
        return sorted(found, key=lambda item: -item[1])[:1]

    def _by_hog(self, rgb: Picture) -> list[Found]:
        pixels = rgb.shape[0] * rgb.shape[1]
        scale = np.clip(np.sqrt(ENLARGE_TO / pixels), 1, MOST_ENLARGED)
        scale *= min(1, np.sqrt(REDUCE_TO / pixels))
        picture = _Working(rgb, float(scale))
        with self._hog.borrow() as detector:
            rectangles, scores, _ = detector.run(picture.pixels, 0)
        return [
            (picture.original(rectangle), float(score))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]

    def _by_cnn(self, rgb: Picture, cnn: dlib_models.Handle) -> list[Found]:
        scale = min(MOST_ENLARGED, np.sqrt(CNN_PIXELS / (rgb.shape[0] * rgb.shape[1])))
        picture = _Working(rgb, float(scale))
        if min(picture.pixels.shape[:2]) < _CNN_LEAST_SIDE:
            return []  # dlib's network would write beyond its memory
        with cnn.borrow() as detector:
            found = detector(picture.pixels, 0)
        return [
            (picture.original(item.rect), float(item.confidence))
            for item in found
            if item.confidence >= CNN_LEAST_SCORE
        ]

    def _points(self, rgb: Picture, box: Box) -> NDArray[np.float32]:
        """dlib's points are whole pixels, so they are looked for in an enlarged face."""
        import dlib

        square, matrix = alignment.crop_square(rgb, box, _LANDMARK_SIDE, _CONTEXT)
        corners = alignment.transform(np.reshape(box, (2, 2)) - 0.5, matrix)
        left, top, right, bottom = np.rint(corners + 0.5).astype(int).ravel().tolist()
        with self._landmarks.borrow() as predictor:
            shape = predictor(square, dlib.rectangle(left, top, right - 1, bottom - 1))
        found = [(part.x, part.y) for part in shape.parts()]
        return alignment.transform(found, alignment.invert(matrix)).astype(np.float32)


class _Working:
    """A picture resized for a detector, with a repeated border: faces that fill it are found."""

    def __init__(self, rgb: Picture, scale: float) -> None:
        height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        resized = rgb if scale == 1 else images.resize(rgb, (width, height))
        self._across, self._down = width / rgb.shape[1], height / rgb.shape[0]
        pad = self._pad = round(_PADDING * min(width, height))
        self.pixels = np.pad(resized, ((pad, pad), (pad, pad), (0, 0)), mode="edge")

    def original(self, rectangle: object) -> Box:
        """A dlib rectangle, whose right and bottom are inclusive, as a box of the picture."""
        left, top, right, bottom = (
            getattr(rectangle, side)() - self._pad for side in ("left", "top", "right", "bottom")
        )
        return (
            left / self._across,
            top / self._down,
            (right + 1) / self._across,
            (bottom + 1) / self._down,
        )


def _without_nested(found: Iterable[Found]) -> list[Found]:
    """Largest first, without those that lie in a larger one: a mouth or an eye taken for a face."""
    kept: list[Found] = []
    for box, score in sorted(found, key=lambda item: (-boxes.area(item[0]), item[0])):
        if all(boxes.shared_area(box, other) < _NESTED * boxes.area(box) for other, _ in kept):
            kept.append((box, score))
    return kept
