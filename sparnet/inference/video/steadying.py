"""Faces that move as heads do, not as points that are found anew in every frame do.

Where a face is in a frame is told by the frames before and after it, so that nothing lags behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparnet.faces.following import face_box
from sparnet.inference.video.tracking import PATIENCE, Look, Points, Sighting

Shown = TypeVar("Shown")

REACH = 8
"""Frames before and after, which tell where a face is."""

LEAST_SEEN = 3
"""Frames within REACH that must show a face, lest something is taken for one in passing."""

FADE = REACH - PATIENCE
"""Frames in which the restoration of a face that comes or goes fades in or out. With the frames
that it may be out of sight these are REACH: a face that was lost for a while has not come anew."""

_STILL_WIDTH = 4.0
_MOVING_WIDTH = 1.5
_MOVED = 0.0025
_HESITATION = 0.05


@dataclass(frozen=True, eq=False)
class Placed:
    """A face in one frame: its five points, (5, 2), and how far its restoration is to be seen,
    above 0 to 1. number: whose it is, among the faces of the video."""

    number: int
    points: Points
    opacity: float


@dataclass(frozen=True, eq=False)
class Steady(Generic[Shown]):
    """A frame, as it was given, and the faces in it."""

    frame: Shown
    faces: list[Placed]


def steadied(
    looks: Iterable[tuple[Shown, Look]], min_confidence: float = 0.0
) -> Iterator[Steady[Shown]]:
    """The faces of each frame, where they are by the looks at REACH frames before and after it.

    At most REACH + 1 frames are held.
    """
    waiting: deque[Shown] = deque()
    known: deque[Look] = deque(maxlen=2 * REACH + 1)
    for frame, look in looks:
        waiting.append(frame)
        known.append(look)
        if len(waiting) > REACH:
            faces = placed(known, len(known) - len(waiting), min_confidence)
            yield Steady(waiting.popleft(), faces)
    while waiting:
        faces = placed(known, len(known) - len(waiting), min_confidence)
        yield Steady(waiting.popleft(), faces)


def placed(looks: Sequence[Look], index: int, min_confidence: float = 0.0) -> list[Placed]:
    """The faces in the frame of look `index`, by it and those around it that are of its scene."""
    scene = looks[index].scene
    near = {
        offset: looks[index + offset].seen
        for offset in range(-min(index, REACH), min(len(looks) - index, REACH + 1))
        if looks[index + offset].scene == scene
    }
    numbers = sorted({number for seen in near.values() for number in seen})
    faces = (_placed(number, near, min_confidence) for number in numbers)
    return [face for face in faces if face is not None and face.opacity > 0]


def smoothed(offsets: ArrayLike, points: ArrayLike) -> Points:
    """Where five points are at offset 0, by where they were seen: (n,) frames and (n, 5, 2).

    A face that hardly moves is smoothed over many frames by straight lines; one that moves over
    fewer, by parabolas, which follow it where it turns back. What lies between goes by how far
    both differ, measured in sides of the face.
    """
    times, seen = np.asarray(offsets, np.float64), np.asarray(points, np.float64)
    still = _fitted(times, seen, _STILL_WIDTH, 1)
    moving = _fitted(times, seen, _MOVING_WIDTH, 2)
    left, _, right, _ = face_box(still, upright=True)
    apart = np.sqrt(np.mean(np.sum((still - moving) ** 2, axis=1))) / (right - left)
    share = apart**4 / (apart**4 + _MOVED**4)
    return (1 - share) * still + share * moving


def _placed(number: int, near: dict[int, dict[int, Sighting]], least: float) -> Placed | None:
    """None where it was not seen, or where that may be chance."""
    seen = {offset: look[number] for offset, look in near.items() if number in look}
    first, last = min(seen), max(seen)
    if not first <= 0 <= last or len(seen) < min(LEAST_SEEN, len(near)):
        return None
    came = 1.0 if first == min(near) else (1 - first) / (FADE + 1)
    goes = 1.0 if last == max(near) else (1 + last) / (FADE + 1)
    trusted = np.mean([sighting.confidence for sighting in seen.values()])
    beyond = float(trusted - least) / _HESITATION if least and trusted < 1 else 1.0
    points = smoothed(list(seen), [sighting.points for sighting in seen.values()])
    return Placed(number, points, float(np.clip(min(came, goes, beyond), 0, 1)))


def _fitted(times: NDArray[np.float64], seen: Points, width: float, degree: int) -> Points:
    """The value at 0 of polynomials that fit best where a Gaussian of this width weighs most."""
    weights = np.exp(-((times / width) ** 2) / 4)
    powers = np.vander(times, min(degree, len(times) - 1) + 1, increasing=True)
    fit = np.linalg.lstsq(powers * weights[:, None], seen.reshape(len(seen), -1) * weights[:, None])
    return fit[0][0].reshape(seen.shape[1:])
