"""Where the rays of the camera meet a surface."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.frame import Field, Frame, resized
from sparnet.data.renderer.head import Relief
from sparnet.data.renderer.outline import Outline

# A ray has met the surface where its last step (cm) was shorter than a tenth of this.
_SETTLED = 12.0


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


@dataclass(frozen=True)
class Rays:
    """The rays of a square picture: at depth t they pass through (1 - t / distance) a + t b.

    `ax`, `ay`, `az` hold a in the head's frame, `b` is the same for all; `tilt` is the height (cm)
    that a ray gains with each cm of depth.
    """

    ax: Field
    ay: Field
    az: Field
    b: tuple[float, float, float]
    tilt: Field
    distance: float
    pixel: float

    @classmethod
    def of(cls, frame: Frame, size: int) -> Rays:
        sx, sy = frame.plane(size)
        right, down, towards = ([float(v) for v in row] for row in frame.rotation)
        ax, ay, az = (r * sx + d * sy for r, d in zip(right, down, strict=True))
        tilt = towards[1] - sy * (1.0 / frame.distance)
        bx, by, bz = towards
        return cls(ax, ay, az, (bx, by, bz), tilt, frame.distance, frame.span / size)


def meet(frame: Frame, outline: Outline, relief: Relief | None, size: int) -> Hit:
    """Meet the surface with the rays of a size x size picture.

    Height and relief along a ray come from the last round's guess, which leaves a quadratic in
    depth; rounds run on a quarter and then on half of the side.
    """
    ahead = np.full((size // 4, size // 4), 10.0, np.float32)
    for side, rounds in ((size // 4, 3), (size // 2, 2)):
        rays, ahead = Rays.of(frame, side), resized(ahead, side)
        for _ in range(rounds):
            depth, within = _refined(rays, outline, relief, ahead)
            ahead = _from_the_front(depth, within)
    return _enlarged(rays, depth, _distance(within, rays.pixel), relief, size)


def _refined(
    rays: Rays, outline: Outline, relief: Relief | None, depth: Field
) -> tuple[Field, Field]:
    """One round: a better depth, and a field (cm2) that is positive where the ray meets.

    w: half-width, d: half-depth, 2: squared.
    """
    bx, by, bz = rays.b
    near = 1.0 - depth * (1.0 / rays.distance)
    ax, ay, lift = rays.ax * near, rays.ay * near, rays.az * near
    y = ay + by * depth
    width2, depth2, slope = outline(y)
    w2, d2 = np.maximum(width2, 0.04), np.maximum(depth2, 0.04)
    if relief is not None:
        lift -= relief(ax + bx * depth, y)
    qa = (bx * bx) * d2 + (bz * bz) * w2
    liftw2, axd2 = lift * w2, ax * d2
    qb = bx * axd2 + bz * liftw2
    disc = qb * qb - qa * (ax * axd2 + (lift * lift - d2) * w2)
    found = (np.sqrt(np.maximum(disc, 0.0)) - qb) / qa
    found = np.minimum(np.maximum(found, -6.0), 14.0)
    step = found - depth
    # Newton's step for the part that dominates: the profile's slope under a tilted ray.
    feedback = rays.tilt * slope / np.sqrt(np.maximum(d2, 2.0))
    new = depth + step / np.minimum(np.maximum(1.0 - 0.5 * feedback, 1.0), 4.0)
    within = np.minimum(disc / (qa * d2), np.minimum(width2, depth2))
    # At chin and crown the rounds may swing between two depths and never meet the surface.
    return new, np.minimum(within, _SETTLED - 10.0 * np.abs(step))


def _from_the_front(depth: Field, within: Field) -> Field:
    """Depths to start the next round from.

    At the silhouette the rounds must come from the front, where they end on the nearest of
    several crossings; so what missed takes the foremost depth around it.
    """
    missed = cv2.dilate((within < 3.0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.where(missed > 0, cv2.dilate(depth, np.ones((3, 3), np.uint8)), depth)


def _enlarged(rays: Rays, depth: Field, distance: Field, relief: Relief | None, size: int) -> Hit:
    """What the rounds found on all of the side, with the part of the relief that was too fine."""
    steady = cv2.GaussianBlur(cv2.medianBlur(distance, 5), (0, 0), 1.6)
    depth = _mended(depth, steady > 1.5 * rays.pixel)
    near = 1.0 - depth * (1.0 / rays.distance)
    coarse_x, coarse_y, coarse_z = (
        a * near + b * depth for a, b in zip((rays.ax, rays.ay, rays.az), rays.b, strict=True)
    )
    x, y, z, depth, inside = (
        resized(field, size) for field in (coarse_x, coarse_y, coarse_z, depth, steady)
    )
    if relief is not None:
        fine = relief(x, y) - resized(relief(coarse_x, coarse_y), size)
        z, depth = z + fine, depth + fine
    return Hit(x, y, z, depth, inside)


def _mended(depth: Field, good: NDArray[np.bool_]) -> Field:
    """Depths continued straight past the silhouette, where the rounds end anywhere."""

    def near(field: Field) -> Field:
        return cv2.blur(field * weight, (7, 7))

    weight = good.astype(np.float32)
    line = np.arange(depth.shape[0], dtype=np.float32)
    row, column = line[:, None], line[None, :]
    slope_x = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    total = near(np.ones_like(depth))
    share = 1.0 / np.maximum(total, 1e-3)
    here, gx, gy, x, y = (near(field) * share for field in (depth, slope_x, slope_y, column, row))
    straight = here + gx * (column - x) + gy * (row - y)
    return np.where(good | (total < 0.01), depth, straight)


def _distance(field: Field, pixel: float) -> Field:
    """A signed distance (cm) near the zero line of a smooth field."""
    gx = cv2.Sobel(field, cv2.CV_32F, 1, 0, ksize=3, scale=0.125 / pixel)
    gy = cv2.Sobel(field, cv2.CV_32F, 0, 1, ksize=3, scale=0.125 / pixel)
    slope = np.sqrt(gx * gx + gy * gy)
    return np.clip(field / np.maximum(slope, 0.5), -6.0, 6.0)
