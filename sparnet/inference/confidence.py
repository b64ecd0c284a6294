"""How far a found face can be trusted, and why not further."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from sparnet import images
from sparnet.faces import alignment
from sparnet.images import Picture
from sparnet.inference.finding import Found

_SCORE = (0.0, 0.8)
_WIDTH = (16.0, 48.0)
_DETAIL = (0.004, 0.04)
_TURN = (0.45, 0.15)


@dataclass(frozen=True)
class Confidence:
    """Four judgements of a face, each 0 (useless) to 1 (good). The least one counts.

    score: how sure the detector is. size: of the face in the photograph. sharpness: detail in the
    face at 64 pixels. pose: 1 from the front, 0 from the side.
    """

    score: float
    size: float
    sharpness: float
    pose: float

    @property
    def value(self) -> float:
        """The least of the four."""
        return min(asdict(self).values())

    @property
    def reason(self) -> str:
        """What keeps the value down, in words."""
        words = {
            "score": "hardly a face",
            "size": "small",
            "sharpness": "blurred",
            "pose": "turned away",
        }
        judged = asdict(self)
        return words[min(judged, key=lambda name: judged[name])]


def judge(photo: Picture, found: Found) -> Confidence:
    """How far a face, found in uint8 HxWx3 `photo`, can be trusted."""
    face = found.face
    left, _, right, _ = face.box
    return Confidence(
        score=_ramp(face.score, *_SCORE),
        size=_ramp(right - left, *_WIDTH),
        sharpness=_ramp(_detail(photo, found), *_DETAIL),
        pose=_ramp(face.turned, *_TURN),
    )


def _detail(photo: Picture, found: Found) -> float:
    """Detail of the face, as `images.detail` measures it."""
    framing = alignment.square(found.face.box, images.DETAIL_SIDE)
    matrix = alignment.compose(framing, found.turning)
    return images.detail(alignment.crop(photo, matrix, images.DETAIL_SIDE))


def _ramp(value: float, worst: float, best: float) -> float:
    """0 at `worst`, 1 at `best`, straight in between."""
    return float(np.clip((value - worst) / (best - worst), 0, 1))
