"""The faces of a photograph, whichever way up it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sparnet.faces import alignment
from sparnet.faces.alignment import Matrix
from sparnet.faces.detection import Detector, Face
from sparnet.images import Picture

TURNS = (90, 270, 180, 45, 315, 135, 225)
"""Degrees, anticlockwise as seen, that a photograph without an upright face is turned by."""

TURNED_SCORE = 0.5
"""What the detector must give a face in a turned photograph: seven more looks, seven more chances
to take something else for one."""


@dataclass(frozen=True, eq=False)
class Found:
    """A face as it was found, upright, and `turning`, the matrix from the photograph to there."""

    face: Face
    turning: Matrix

    @property
    def turned(self) -> bool:
        """Whether the photograph had to be turned."""
        return bool(self.turning[1, 0]) or self.turning[0, 0] != 1

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
    """Finds upright faces, or else those of one turn of the photograph. Threads may share it."""

    def __init__(self, detector: Detector | None = None) -> None:
        """Without a `detector` a thorough one is used for the photograph as it is."""
        self._detector = detector or Detector(thorough=True)
        self._quick = Detector()

    def find(self, photo: Picture) -> list[Found]:
        """The faces of uint8 HxWx3, largest first; an empty list where there is none."""
        as_it_is = np.eye(3)[:2]
        if upright := self._detector.detect(photo):
            return [Found(face, as_it_is) for face in upright]
        looks = [self._turned(photo, angle) for angle in TURNS]
        return max(looks, key=lambda look: max((found.face.score for found in look), default=0.0))

    def _turned(self, photo: Picture, angle: int) -> list[Found]:
        turned, turning = turn(photo, angle)
        faces = self._quick.detect(turned)
        return [Found(face, turning) for face in faces if face.score >= TURNED_SCORE]


def turn(photo: Picture, degrees: int) -> tuple[Picture, Matrix]:
    """`photo` turned anticlockwise, as large as it gets, and the matrix that does it."""
    height, width = photo.shape[:2]
    angle = np.radians(degrees)
    cos, sin = np.cos(angle).round(12), np.sin(angle).round(12)
    linear = np.array([[cos, sin], [-sin, cos]])
    across, down = (np.abs(linear) @ (width, height)).round().astype(int).tolist()
    shift = np.array([across - 1, down - 1]) / 2 - linear @ [(width - 1) / 2, (height - 1) / 2]
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(photo, matrix, (across, down)).astype(np.uint8), matrix
