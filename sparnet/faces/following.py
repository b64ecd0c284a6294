"""A face that was just seen, found again in the next picture: quicker than looking everywhere."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparnet.faces import alignment, boxes, dlib_models
from sparnet.faces.alignment import Box, Matrix
from sparnet.faces.detection import Face
from sparnet.images import Picture

FACE_BOX: Box = (115.0, 164.0, 397.0, 446.0)
"""Where the detector's box lies, on average, in an FFHQ face of 512 pixels."""

LEAST_SCORE = -0.2
"""Of a face where one was just seen: less than what a face needs that is seen first."""

_LOOK_SIDE = 192
_POINTS_SIDE = 384
_LEAST_SHARED = 0.3
_SHIFTS = (-0.04, 0.0, 0.04)


class Follower:
    """Finds known faces again. Threads may share it, and it pickles to workers."""

    def __init__(self) -> None:
        """Raises UserError where dlib's model files are not installed."""
        points = dlib_models.weights_path(dlib_models.FIVE_POINTS)
        self._hog = dlib_models.Handle(dlib_models.frontal_detector)
        self._landmarks = dlib_models.Handle(dlib_models.shape_predictor, points)

    def again(self, rgb: Picture, points: ArrayLike) -> Face | None:
        """The face whose five points were `points`, (5, 2), in the picture before `rgb`, uint8
        HxWx3; None where it is not to be seen.

        It is looked for in the FFHQ frame of where it was: upright and at one size, so that it may
        be turned, and may move by a third of its width. The box of the result is what FACE_BOX
        becomes; its points are means over several looks, and jitter less than the detector's.
        """
        to_look = alignment.similarity(points, alignment.ffhq_template(_LOOK_SIDE))
        found = self._nearest(_framed(rgb, to_look, _LOOK_SIDE))
        if found is None:
            return None
        box, score = found
        to_points = alignment.similarity(points, alignment.ffhq_template(_POINTS_SIDE))
        enlarged = np.reshape(box, (2, 2)) * (_POINTS_SIDE / _LOOK_SIDE)
        seen = self._points(_framed(rgb, to_points, _POINTS_SIDE), enlarged)
        placed = alignment.transform(seen, alignment.invert(to_points))
        return Face(face_box(placed), score, placed.astype(np.float32))

    def _nearest(self, framed: Picture) -> tuple[Box, float] | None:
        with self._hog.borrow() as detector:
            rectangles, scores, _ = detector.run(framed, 0, LEAST_SCORE)
        expected = face_box(alignment.ffhq_template(_LOOK_SIDE))
        found = [
            ((float(box.left()), float(box.top()), box.right() + 1.0, box.bottom() + 1.0), score)
            for box, score in zip(rectangles, scores, strict=True)
        ]
        best = max(found, key=lambda item: boxes.shared(item[0], expected), default=None)
        return best if best and boxes.shared(best[0], expected) >= _LEAST_SHARED else None

    def _points(self, framed: Picture, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """The detector's box comes in steps; that of a first look at the points does not."""
        first = self._look(framed, box)
        centred = np.reshape(face_box(first, upright=True), (2, 2))
        side = centred[1, 0] - centred[0, 0]
        shifts = itertools.product(_SHIFTS, _SHIFTS)
        looks = [self._look(framed, centred + side * np.array(shift)) for shift in shifts]
        return np.mean(looks, axis=0)

    def _look(self, framed: Picture, box: NDArray[np.float64]) -> NDArray[np.float64]:
        import dlib

        left, top, right, bottom = np.rint(box).astype(int).ravel().tolist()
        with self._landmarks.borrow() as predictor:
            shape = predictor(framed, dlib.rectangle(left, top, right - 1, bottom - 1))
        return np.array([(part.x, part.y) for part in shape.parts()], np.float64)


def face_box(points: ArrayLike, upright: bool = False) -> Box:
    """The box of the face with these five points, as FACE_BOX tells: around the turned square, or,
    with `upright`, a square of the same side and centre."""
    back = alignment.invert(alignment.similarity(points, alignment.FFHQ_TEMPLATE))
    left, top, right, bottom = (side - 0.5 for side in FACE_BOX)
    corners = alignment.transform(
        [(left, top), (right, top), (left, bottom), (right, bottom)], back
    )
    if upright:
        half = alignment.scale_of(back) * (right - left) / 2
        corners = corners.mean(axis=0) + np.array([[-half, -half], [half, half]])
    least, most = corners.min(axis=0) + 0.5, corners.max(axis=0) + 0.5
    return (*least.tolist(), *most.tolist())


def _framed(rgb: Picture, matrix: Matrix, size: int) -> Picture:
    """`alignment.crop`, quick instead of exact: for looking, not for showing."""
    halvings = max(0, int(np.log2(1 / alignment.scale_of(matrix))))
    if halvings:
        rgb, to_part = _reduced(rgb, matrix, size, 2**halvings)
        matrix = alignment.compose(matrix, alignment.invert(to_part))
    framed = cv2.warpAffine(
        rgb, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return framed.astype(np.uint8)


def _reduced(rgb: Picture, matrix: Matrix, size: int, factor: int) -> tuple[Picture, Matrix]:
    """The part that `matrix` frames, so much smaller, and the matrix from `rgb` to it."""
    ends = [(0, 0), (size, 0), (0, size), (size, size)]
    corners = alignment.transform(ends, alignment.invert(matrix))
    height, width = rgb.shape[:2]
    left, top = np.clip(corners.min(axis=0) - factor, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(corners.max(axis=0) + factor, (left + 1, top + 1), (width, height))
    part = rgb[top : int(bottom), left : int(right)]
    rows, columns = (max(1, length // factor) for length in part.shape[:2])
    reduced = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    across, down = columns / part.shape[1], rows / part.shape[0]
    return reduced.astype(np.uint8), alignment.resizing(left, top, across, down)
