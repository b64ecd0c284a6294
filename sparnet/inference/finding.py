"""The faces of a photograph, whichever way up it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.faces import alignment, boxes
from sparnet.faces.alignment import Matrix
from sparnet.faces.detection import REDUCE_TO, SECOND_SCORE, Detector, Face
from sparnet.images import Picture

TURNS = (90, 270, 180, 45, 315, 135, 225)
"""Degrees, anticlockwise as seen, that a photograph without an upright face is turned by."""

PART_SIDE = 1_700
PART_OVERLAP = 500
_SAME = 0.3
_MOST_TURNED = 32_000
_MOST_GROWN = 4.0


@dataclass(frozen=True, eq=False)
class Found:
    """A face as it was found, upright, and `turning`, the matrix from the photograph to there."""

    face: Face
    turning: Matrix

    @property
    def turned(self) -> bool:
        """Whether the photograph had to be turned."""
        return bool(self.turning[1, 0] or self.turning[0, 0] != 1)

    def placed(self) -> Face:
        """The face in the photograph; its box is the upright one around the turned one."""
        if not self.turned:
            return self.face
        back = alignment.invert(self.turning)
        left, top, right, bottom = (side - 0.5 for side in self.face.box)
        corners = [(left, top), (right, top), (left, bottom), (right, bottom)]
        seen = alignment.transform(corners, back) + 0.5
        box = (*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist())
        points = alignment.transform(self.face.points, back).astype(np.float32)
        return Face(box, self.face.score, points)


class Finder:
    """Finds upright faces, or else those of one turn of the photograph. Threads may share it.

    quick: the detector of what is looked at beside the photograph as it is.
    """

    def __init__(self, detector: Detector | None = None) -> None:
        """Without a `detector` a thorough one is used for the photograph as it is."""
        self._detector = detector or Detector(thorough=True)
        self.quick = Detector()

    def find(
        self, photo: Picture, small_faces: bool = False, turned_faces: bool = False
    ) -> list[Found]:
        """The faces of uint8 HxWx3, largest first; an empty list where there is none.

        The detector looks at a large photograph reduced to REDUCE_TO pixels. With `small_faces`, or
        where that shows none, it also looks at parts of PART_SIDE, which overlap by PART_OVERLAP.
        With `turned_faces` it looks at every turn, whether there are upright faces or not.
        """
        upright = self._detector.detect(photo)
        large = photo.shape[0] * photo.shape[1] > REDUCE_TO
        if large and (small_faces or not upright):
            upright = sorted(self._with_parts(photo, upright), key=lambda face: -face.area)
        found = [Found(face, np.eye(3)[:2]) for face in upright]
        if (found and not turned_faces) or max(photo.shape) > _MOST_TURNED:
            return found
        looks = [
            self._turned(photo, angle) for angle in TURNS if _growth(photo, angle) < _MOST_GROWN
        ]
        if turned_faces:
            found = _with_others(found, itertools.chain.from_iterable(looks))
            return sorted(found, key=lambda item: -item.face.area)
        return max(looks, key=lambda look: max((item.face.score for item in look), default=0.0))

    def _with_parts(self, photo: Picture, known: list[Face]) -> list[Face]:
        faces = list(known)
        for left, top in _parts(photo):
            part = photo[top : top + PART_SIDE, left : left + PART_SIDE]
            for face in self.quick.detect(np.ascontiguousarray(part)):
                whole = _within(face, part)
                moved = _moved(face, left, top)
                if whole and _is_new(moved, faces) and face.score >= SECOND_SCORE:
                    faces.append(moved)
        return faces

    def _turned(self, photo: Picture, angle: int) -> list[Found]:
        turned, turning = turn(photo, angle)
        faces = self.quick.detect(turned)
        return [Found(face, turning) for face in faces if face.score >= SECOND_SCORE]


def _with_others(known: list[Found], others: Iterable[Found]) -> list[Found]:
    """Those that are known, and of the others, surest first, each that is where none is yet: a
    tilted face is seen in more than one turn."""
    faces = [item.placed() for item in known]
    found = list(known)
    for item in sorted(others, key=lambda item: -item.face.score):
        face = item.placed()
        if _is_new(face, faces):
            faces.append(face)
            found.append(item)
    return found


def _is_new(face: Face, known: Iterable[Face]) -> bool:
    return all(
        boxes.shared_area(face.box, other.box) < _SAME * min(face.area, other.area)
        for other in known
    )


def _growth(photo: Picture, degrees: int) -> float:
    """How many times the pixels a turn has: a line of 30 000 pixels, tilted, would fill memory."""
    across, down = _turned_size(photo, degrees)
    return across * down / (photo.shape[0] * photo.shape[1])


def turn(photo: Picture, degrees: int) -> tuple[Picture, Matrix]:
    """`photo` turned anticlockwise, as large as it gets, and the matrix that does it."""
    height, width = photo.shape[:2]
    linear = _rotation(degrees)
    across, down = _turned_size(photo, degrees)
    shift = np.array([across - 1, down - 1]) / 2 - linear @ [(width - 1) / 2, (height - 1) / 2]
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(photo, matrix, (across, down)).astype(np.uint8), matrix


def _turned_size(photo: Picture, degrees: int) -> tuple[int, int]:
    """Width and height."""
    size = (photo.shape[1], photo.shape[0])
    across, down = (np.abs(_rotation(degrees)) @ size).round().astype(int).tolist()
    return across, down


def _rotation(degrees: int) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    cos, sin = np.cos(angle).round(12), np.sin(angle).round(12)
    return np.array([[cos, sin], [-sin, cos]])


def _parts(photo: Picture) -> Iterator[tuple[int, int]]:
    """Left and top of the parts that together show every face of up to PART_OVERLAP whole."""
    tops, lefts = (_starts(length) for length in photo.shape[:2])
    return itertools.product(lefts, tops)


def _starts(length: int) -> list[int]:
    count = max(1, math.ceil((length - PART_OVERLAP) / (PART_SIDE - PART_OVERLAP)))
    return np.linspace(0, max(0, length - PART_SIDE), count).round().astype(int).tolist()


def _within(face: Face, part: Picture) -> bool:
    left, top, right, bottom = face.box
    return left >= 0 and top >= 0 and right <= part.shape[1] and bottom <= part.shape[0]


def _moved(face: Face, x: int, y: int) -> Face:
    left, top, right, bottom = face.box
    points = face.points + np.array([x, y], np.float32)
    return Face((left + x, top + y, right + x, bottom + y), face.score, points)
