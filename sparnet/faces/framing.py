"""How a face is framed for a network: in training as later, when it restores photographs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from sparnet.faces import alignment
from sparnet.faces.alignment import Box, Matrix
from sparnet.faces.detection import Face

MARGIN = 1.6
RISE = 0.1
"""The square of SPARNet: its side, and how much higher its centre lies, in sides of the detector's
box, which reaches only from brows to chin."""


@dataclass(frozen=True)
class Frame:
    """`ffhq`: turned and scaled as FFHQ's faces are; `box`: an upright square around the detector's
    box, `margin` times as large."""

    kind: Literal["box", "ffhq"]
    margin: float = MARGIN

    @classmethod
    def usual(cls, network: str) -> Frame:
        """How the named network's faces are framed where nothing else is known."""
        return cls("ffhq" if network.startswith("sparnethd") else "box")

    @classmethod
    def parse(cls, content: object) -> Frame | None:
        """What `to_json` wrote; None for anything else."""
        match content:
            case {"kind": "box" | "ffhq" as kind, "margin": float(margin)}:
                return cls(kind, margin)
        return None

    def to_json(self) -> Mapping[str, Any]:
        return asdict(self)

    def matrix(self, face: Face, size: int) -> Matrix:
        """From the picture in which `face` was found to its size x size frame."""
        if self.kind == "ffhq":
            return ffhq(face.points, size)
        return alignment.square(raised(face.box), size, self.margin)


def ffhq(points: ArrayLike, size: int) -> Matrix:
    """The matrix that puts five points (5, 2), as of `Face.points`, where FFHQ's are."""
    return alignment.similarity(points, alignment.ffhq_template(size))


def raised(box: Box) -> Box:
    """The detector's box, moved up so that its middle is that of the whole head."""
    left, top, right, bottom = box
    rise = RISE * (bottom - top)
    return left, top - rise, right, bottom - rise
