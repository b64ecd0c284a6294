"""Which face of a frame is which of the frame before."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.faces import alignment
from sparnet.faces.boxes import shared
from sparnet.faces.detection import SURE_SCORE, Face
from sparnet.faces.following import Follower, face_box
from sparnet.images import Picture
from sparnet.inference.confidence import judge
from sparnet.inference.finding import Finder, Found

Points = NDArray[np.float64]

SEARCH_EVERY = 15
"""Frames from one look over the whole frame to the next; known faces are followed in between."""

PATIENCE = 4
"""Frames that a face may be out of sight, and is still the same one."""

CUT = 25.0
"""By how many levels, see `difference`, a frame differs from the one before in a new scene."""

_SAME = 0.3
_REDUCED = 64


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in one frame: its five points, (5, 2), as `Face` has them, and how far it is trusted,
    0 to 1."""

    points: Points
    confidence: float


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in one frame: the number of its scene, and each face by its own number."""

    scene: int
    seen: dict[int, Sighting]


@dataclass
class _Track:
    points: Points
    face: Face | None
    missed: int = 0


class Tracker:
    """Looks at the frames of one video, in order."""

    def __init__(
        self,
        finder: Finder | None = None,
        small_faces: bool = False,
        turned_faces: bool = False,
        judging: bool = False,
    ) -> None:
        """finder: what looks at the first frame of each scene, as thoroughly as at a photograph,
        and at the others too, where small_faces or turned_faces (see `Finder.find`) are wanted.

        Without `judging` every face is fully trusted.
        """
        self._finder = finder or Finder()
        self._follower = Follower()
        self._closer = small_faces, turned_faces
        self._judging = judging
        self._tracks: dict[int, _Track] = {}
        self._numbers = itertools.count()
        self._shades: NDArray[np.float64] | None = None
        self._scene = self._since = 0

    def look(self, frame: Picture) -> Look:
        """See which faces the next frame, uint8 HxWx3, shows and where."""
        if self._is_cut(frame):
            self._scene += 1
            self._since = 0
            self._tracks.clear()
        for track in self._tracks.values():
            self._follow(track, frame)
        if self._since % SEARCH_EVERY == 0:
            self._search(frame)
        self._since += 1
        self._forget()
        seen = {
            number: Sighting(track.points, self._confidence(frame, track.face))
            for number, track in self._tracks.items()
            if track.face is not None
        }
        return Look(self._scene, seen)

    def _follow(self, track: _Track, frame: Picture) -> None:
        track.face = self._follower.again(frame, track.points)
        if track.face is None:
            track.missed += 1
        else:
            track.points, track.missed = track.face.points.astype(np.float64), 0

    def _search(self, frame: Picture) -> None:
        if self._since == 0 or any(self._closer):
            faces = [found.placed() for found in self._finder.find(frame, *self._closer)]
        else:
            found = self._finder.quick.detect(frame)
            faces = [face for face in found if face.score >= SURE_SCORE]
        for face in faces:
            box = face_box(face.points)
            known = [
                number
                for number, track in self._tracks.items()
                if shared(box, face_box(track.points)) >= _SAME
            ]
            number = known[0] if known else next(self._numbers)
            if not known or self._tracks[number].face is None:
                self._tracks[number] = self._met(face, frame)

    def _met(self, face: Face, frame: Picture) -> _Track:
        """A second look gives the points as those of the frames to come will be."""
        again = self._follower.again(frame, face.points) or face
        return _Track(again.points.astype(np.float64), again)

    def _forget(self) -> None:
        """Those that are gone, and of two that have become one the later."""
        kept: dict[int, _Track] = {}
        for number, track in self._tracks.items():
            box = face_box(track.points)
            own = all(shared(box, face_box(other.points)) < _SAME for other in kept.values())
            if track.missed <= PATIENCE and own:
                kept[number] = track
        self._tracks = kept

    def _is_cut(self, frame: Picture) -> bool:
        before, self._shades = self._shades, shades(frame)
        return before is not None and difference(before, self._shades) > CUT

    def _confidence(self, frame: Picture, face: Face) -> float:
        return judge(frame, turned_upright(face)).value if self._judging else 1.0


def shades(frame: Picture) -> NDArray[np.float64]:
    """The values of red, green and blue in each quarter of a reduced frame, from dark to bright:
    (12, 1024)."""
    size = (_REDUCED, _REDUCED)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    quarters = small.reshape(2, _REDUCED // 2, 2, _REDUCED // 2, 3).transpose(0, 2, 4, 1, 3)
    return np.sort(quarters.reshape(12, -1), axis=1).astype(np.float64)


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """How far the `shades` of one frame are from those of another, in levels: how far all of them
    would have to move (the distance of their histograms, known as the earth mover's)."""
    return float(np.abs(after - before).mean())


def turned_upright(face: Face) -> Found:
    """The face in its photograph turned so far that it is upright, at its own size."""
    to_template = alignment.similarity(face.points, alignment.FFHQ_TEMPLATE)
    turning = to_template / alignment.scale_of(to_template)
    points = alignment.transform(face.points, turning).astype(np.float32)
    return Found(Face(face_box(points), face.score, points), turning)
