"""The head as a surface: a stack of ellipses with a relief of features, met by camera rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.frame import Field, Frame, resized, ridge
from sparnet.data.renderer.person import Nose, Person
from sparnet.data.renderer.shot import Expression

_TOP, _BOTTOM, _STEPS = -16.0, 24.0, 800


class Curve:
    """A smooth function of height through control points, level beyond the outermost.

    Cubic pieces that never overshoot: slopes are harmonic means, zero at turning points
    (Fritsch and Butland, 1984).
    """

    def __init__(self, points: list[tuple[float, float]]) -> None:
        self._y, self._value = np.array(sorted(points)).T
        rise = np.diff(self._value) / np.diff(self._y)
        before, after = rise[:-1], rise[1:]
        turns = before * after <= 0.0
        inner = np.where(turns, 0.0, 2.0 * before * after / np.where(turns, 1.0, before + after))
        self._slope = np.concatenate([rise[:1], inner, rise[-1:]])

    def __call__(self, y: Field) -> Field:
        y = np.clip(y, self._y[0], self._y[-1])
        i = np.minimum(np.searchsorted(self._y, y, side="right"), len(self._y) - 1) - 1
        step = self._y[i + 1] - self._y[i]
        t = (y - self._y[i]) / step
        turned = 1.0 - t
        start = (1.0 + 2.0 * t) * self._value[i] + t * step * self._slope[i]
        end = (1.0 + 2.0 * turned) * self._value[i + 1] - turned * step * self._slope[i + 1]
        return (turned * turned * start + t * t * end).astype(np.float32)


class Outline:
    """Half-width and half-depth of the ellipse at each height, both squared, held as a table.

    Squares cross zero straight at the crown and at the chin, where the widths themselves end
    with an infinite slope.
    """

    def __init__(self, widths: list[tuple[float, float]], depths: list[tuple[float, float]]):
        rows = np.linspace(_TOP, _BOTTOM, _STEPS + 1)
        width2, depth2 = (
            Curve([(y, v * abs(v)) for y, v in points])(rows) for points in (widths, depths)
        )
        slope = np.gradient(depth2, rows).astype(np.float32)
        self._width2, self._depth2, self._slope = (t[:, None] for t in (width2, depth2, slope))

    def width2(self, y: Field) -> Field:
        return self._read(self._width2, y)

    def depth2(self, y: Field) -> Field:
        return self._read(self._depth2, y)

    def depth2_slope(self, y: Field) -> Field:
        """The derivative of `depth2`."""
        return self._read(self._slope, y)

    @staticmethod
    def _read(table: Field, y: Field) -> Field:
        row = (y - _TOP) * (_STEPS / (_BOTTOM - _TOP))
        return cv2.remap(
            table, np.zeros_like(row), row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


@dataclass(frozen=True)
class Hit:
    """Where rays meet a surface: head coordinates, camera depth, and how far inside its outline.

    `inside` is the signed distance (cm, about) to the silhouette, positive on the surface.
    """

    x: Field
    y: Field
    z: Field
    depth: Field
    inside: Field


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
            height += np.outer(weight * ridge(y, cy, sy), ridge(np.abs(x) if cx else x, cx, sx))
        height += _nose_ridge(person.nose, x[None, :], y)
        self._table = height - _fold(person, expression.smile, np.abs(x[None, :]), y[:, None])

    def __call__(self, x: Field, y: Field) -> Field:
        column, row = (x + _REACH) * (1.0 / _GRAIN), (y - _ABOVE) * (1.0 / _GRAIN)
        return cv2.remap(
            self._table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


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
    round_part = 1.0 - x * x / outline.width2(y)
    z = np.sqrt(np.maximum(round_part * outline.depth2(y), 0.0)) + relief(x, y)
    return np.column_stack([flat, z[:, 0]])


def meet(frame: Frame, outline: Outline, relief: Relief | None, size: int) -> Hit:
    """Meet the surface with the rays of a size x size picture.

    Height and relief along a ray come from the last round's guess, which leaves a quadratic in
    depth; rounds run on a quarter and then on half of the side.
    """
    depth = np.full((size // 4, size // 4), 10.0, np.float32)
    for side, rounds in ((size // 4, 5), (size // 2, 2)):
        depth, plane = resized(depth, side), frame.plane(side)
        for _ in range(rounds):
            hit = _refined(frame, outline, relief, depth, plane)
            depth = _from_the_front(hit)
    return _enlarged(hit, relief, size)


def _enlarged(hit: Hit, relief: Relief | None, size: int) -> Hit:
    """The hit on all of the side, with the part of the relief that was too fine before."""
    steady = cv2.GaussianBlur(cv2.medianBlur(hit.inside, 5), (0, 0), 1.0)
    x, y, z, depth, inside = (
        resized(field, size) for field in (hit.x, hit.y, hit.z, hit.depth, steady)
    )
    if relief is not None:
        fine = relief(x, y) - resized(relief(hit.x, hit.y), size)
        z, depth = z + fine, depth + fine
    return Hit(x, y, z, depth, inside)


def _from_the_front(hit: Hit) -> Field:
    """Depths to start the next round from.

    At the silhouette the rounds must come from the front, where they end on the nearest of
    several crossings; so what missed takes the foremost depth around it.
    """
    missed = cv2.dilate((hit.inside < 0.3).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.where(missed > 0, cv2.dilate(hit.depth, np.ones((3, 3), np.uint8)), hit.depth)


def _refined(
    frame: Frame,
    outline: Outline,
    relief: Relief | None,
    depth: Field,
    plane: tuple[Field, Field],
) -> Hit:
    """One round: a better depth from a guess. w: half-width, d: half-depth, 2: squared."""
    sx, sy = plane
    r = frame.rotation.astype(np.float32)
    near = 1.0 - depth * (1.0 / frame.distance)
    px, py = sx * near, sy * near
    ax, ay, az = (r[0, i] * px + r[1, i] * py for i in range(3))
    bx, by, bz = (float(r[2, i]) for i in range(3))
    x, y = ax + bx * depth, ay + by * depth
    width2, depth2 = outline.width2(y), outline.depth2(y)
    w2, d2 = np.maximum(width2, 0.04), np.maximum(depth2, 0.04)
    lift = az if relief is None else az - relief(x, y)
    qa = bx * bx * d2 + bz * bz * w2
    qb = bx * ax * d2 + bz * lift * w2
    qc = ax * ax * d2 + lift * lift * w2 - w2 * d2
    disc = qb * qb - qa * qc
    found = np.clip((np.sqrt(np.maximum(disc, 0.0)) - qb) / qa, -6.0, 14.0)
    # Newton's step for the part that dominates: the profile's slope under a tilted ray.
    tilt = by - sy * (1.0 / frame.distance)
    feedback = tilt * outline.depth2_slope(y) / (2.0 * np.sqrt(np.maximum(d2, 2.0)))
    new = depth + (found - depth) / np.clip(1.0 - feedback, 1.0, 4.0)
    z = az + bz * new
    y = ay + by * new
    inside = np.minimum(disc / (qa * d2), np.minimum(width2, depth2))
    outline_distance = _distance(inside, frame.span / depth.shape[0])
    # At chin and crown the rounds may swing between two depths and never meet the surface.
    settled = np.minimum(1.5 - 1.2 * np.abs(found - depth), outline.width2(y))
    return Hit(ax + bx * new, y, z, new, np.clip(settled, -6.0, outline_distance))


def _distance(field: Field, pixel: float) -> Field:
    """A signed distance (cm) near the zero line of a smooth field."""
    gx = cv2.Sobel(field, cv2.CV_32F, 1, 0, ksize=3, scale=0.125 / pixel)
    gy = cv2.Sobel(field, cv2.CV_32F, 0, 1, ksize=3, scale=0.125 / pixel)
    slope = np.sqrt(gx * gx + gy * gy)
    return np.clip(field / np.maximum(slope, 0.5), -6.0, 6.0)
