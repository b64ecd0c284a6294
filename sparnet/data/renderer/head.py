"""The head as a surface: a stack of ellipses with a relief of features."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.frame import Field, ridge
from sparnet.data.renderer.outline import Curve, Outline
from sparnet.data.renderer.person import Nose, Person
from sparnet.data.renderer.shot import Expression


@lru_cache(maxsize=256)
def skin_outline(person: Person) -> Outline:
    skull = person.skull
    bearded = person.beard.style == "full"
    chin, crown = skull.chin + 0.4 * bearded, skull.crown
    jaw = skull.jaw + 0.22 * bearded
    mouth = person.mouth.y
    widths = [
        (crown - 3.0, -5.0),
        (crown, 0.0),
        (crown + 0.9, 0.52 * skull.cranium),
        (crown + 3.0, 0.86 * skull.cranium),
        (crown + 5.8, skull.cranium),
        (-2.0, 0.995 * skull.cranium),
        (2.4, skull.cheek),
        (mouth - 0.2, jaw),
        (chin - 2.2, 0.52 * jaw + 0.48 * skull.chin_width + 0.25),
        (chin - 0.75, skull.chin_width),
        (chin + 0.25, 0.0),
        (chin + 3.0, -5.0),
    ]
    lips = 9.35
    depths = [
        (crown - 3.0, -6.0),
        (crown, 0.0),
        (crown + 0.9, 4.6),
        (crown + 3.0, 7.6 + skull.forehead),
        (-5.0, 8.95 + 0.6 * skull.forehead),
        (-2.2, 9.3),
        (-0.2, 9.05),
        (3.0, 9.15),
        (mouth, lips),
        (chin - 2.7, 8.95),
        (chin - 1.1, 8.9 + 0.3 * skull.chin_depth),
        (chin - 0.3, 8.0),
        (chin + 0.3, 6.9),
        (chin + 1.5, 5.6),
        (chin + 3.0, 5.0),
    ]
    return Outline(widths, depths)


@lru_cache(maxsize=256)
def _nose_curves(nose: Nose) -> tuple[Curve, Curve]:
    """The ridge's height and the bell's half-width over y."""
    tip = nose.length
    height = Curve(
        [
            (-2.4, 0.0),
            (-0.9, 0.55 * nose.height),
            (0.1, nose.height),
            (0.5 * tip, 0.5 * (nose.height + nose.reach) + nose.hump),
            (tip - 0.35, nose.reach),
            (tip + 0.1 + 0.4 * nose.upturn, 0.985 * nose.reach),
            (tip + 0.6, 0.62 * nose.reach + 0.4 * nose.upturn),
            (tip + 1.1, 0.25),
            (tip + 1.6, 0.0),
        ]
    )
    width = Curve(
        [
            (-2.2, 0.9 + nose.bridge),
            (-0.2, 1.1 * nose.bridge),
            (0.5 * tip, 0.2 + 1.15 * nose.bridge),
            (tip - 0.4, 0.95 + 0.3 * nose.tip),
            (tip + 0.3, 0.95 + 0.3 * nose.tip),
            (tip + 1.2, 0.6 + 0.2 * nose.tip),
        ]
    )
    return height, width


# Half-width, top, bottom and step (cm) of the table of the relief.
_REACH, _ABOVE, _BELOW, _GRAIN = 9.0, -8.0, 16.0, 0.1


class Relief:
    """Height (cm) of the features over the plain head, held as a table over head x and y."""

    def __init__(self, person: Person, expression: Expression) -> None:
        x = np.arange(-_REACH, _REACH + _GRAIN, _GRAIN, dtype=np.float32)
        y = np.arange(_ABOVE, _BELOW + _GRAIN, _GRAIN, dtype=np.float32)
        height = np.zeros((len(y), len(x)), np.float32)
        for weight, cx, cy, sx, sy in _hills(person, expression):
            # Off the middle a hill stands on both sides of the face.
            rows = _rows(cy - 3.3 * sy, cy + 3.3 * sy)
            across = ridge(np.abs(x) if cx else x, cx, sx)
            height[rows] += np.outer(weight * ridge(y[rows], cy, sy), across)
        rows = _rows(-2.4, person.nose.length + 1.6)
        height[rows] += _nose_ridge(person.nose, x[None, :], y[rows])
        rows = _rows(person.nose.length - 3.0, person.mouth.y + 3.0)
        height[rows] -= _fold(person, expression.smile, np.abs(x[None, :]), y[rows, None])
        self._table = height

    def __call__(self, x: Field, y: Field) -> Field:
        column, row = (x + _REACH) * (1.0 / _GRAIN), (y - _ABOVE) * (1.0 / _GRAIN)
        return cv2.remap(
            self._table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


def _rows(top: float, bottom: float) -> slice:
    """The rows of the table between two heights (cm)."""
    return slice(*(max(round((y - _ABOVE) / _GRAIN), 0) for y in (top, bottom)))


Hill = tuple[float, float, float, float, float]


def _hills(person: Person, expression: Expression) -> tuple[Hill, ...]:
    """Height, place (x, y) and spread (x, y) of every Gaussian hill or hollow of the face."""
    return (
        *_upper_hills(person, expression.smile),
        *_nose_hills(person.nose, expression.smile),
        *_lower_hills(person, expression.smile),
    )


def _upper_hills(person: Person, smile: float) -> tuple[Hill, ...]:
    skull, eyes = person.skull, person.eyes
    return (
        (-skull.socket, eyes.spacing - 0.15, -0.35, 1.55, 0.95),
        (0.42, eyes.spacing, 0.0, 1.1, 0.62),
        (skull.brow_ridge, 2.7, -2.0, 2.4, 0.75),
        (skull.cheekbone, 4.5, 2.3, 1.6, 1.3),
        (-0.3, 6.1, -3.2, 1.2, 2.0),
        (0.5 * smile, 3.8, 2.9, 1.25, 1.0),
    )


def _nose_hills(nose: Nose, smile: float) -> tuple[Hill, ...]:
    tip, wing = nose.length, nose.width * (1.0 + 0.1 * smile)
    return (
        (0.3, 0.0, tip - 0.1, 0.62 + 0.3 * nose.tip, 0.62),
        (0.85, 0.74 * wing, tip + 0.28, 0.52, 0.52),
        (-0.3, wing + 0.16, tip + 0.2, 0.22, 0.55),
    )


def _lower_hills(person: Person, smile: float) -> tuple[Hill, ...]:
    skull, mouth, tip = person.skull, person.mouth, person.nose.length
    return (
        (0.3, 0.0, mouth.y - 0.4, 0.8 * mouth.width, 0.55),
        (0.4, 0.0, mouth.y + 0.6, 0.62 * mouth.width, 0.5),
        (-0.16, mouth.width + 0.3 + 0.35 * smile, mouth.y, 0.4, 0.5),
        (-0.16, 0.0, 0.5 * (tip + mouth.y) + 0.4, 0.24, 0.6),
        (-0.36, 0.0, mouth.y + 1.75, 1.7, 0.5),
        (skull.chin_depth, 0.0, skull.chin - 1.3, 1.25, 0.9),
        (-skull.cleft, 0.0, skull.chin - 1.0, 0.2, 0.6),
        (0.16 * skull.fullness, 4.2, mouth.y - 0.7, 1.6, 1.6),
    )


def _nose_ridge(nose: Nose, x: Field, y: Field) -> Field:
    height, width = _nose_curves(nose)
    across = (x - nose.bend * y[:, None]) / width(y)[:, None]
    return height(y)[:, None] * np.exp(-across * across)


def _fold(person: Person, smile: float, ax: Field, y: Field) -> Field:
    """Depth of the line from the wing of the nose past the corner of the mouth."""
    mouth, tip, wing = person.mouth, person.nose.length, person.nose.width
    t = (y - tip) * (1.0 / (mouth.y - tip))
    outwards = (mouth.width + 0.8 + 0.4 * smile - wing) * np.clip(t, 0.0, 1.25)
    across = (ax - (wing + 0.2) - outwards) * (1.0 / 0.42)
    depth = 0.06 + 0.26 * smile + 0.16 * person.skin.wrinkles
    return depth * np.exp(-across * across) * ridge(t, 0.5, 0.44)


def on_surface(outline: Outline, relief: Relief, flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) of head x and y with the surface's z in front added, (N, 3) in cm."""
    x, y = flat.astype(np.float32).T[..., None]
    width2, depth2, _ = outline(y)
    z = np.sqrt(np.maximum((1.0 - x * x / width2) * depth2, 0.0)) + relief(x, y)
    return np.column_stack([flat, z[:, 0]])
