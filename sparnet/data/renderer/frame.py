"""From the head's frame to the picture and back: a weak pinhole camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.shot import Pose

# float32 throughout; NumPy's stubs lose the width in arithmetic with Python floats.
Field: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """Places picture coordinates (0..1 of its side) on the plane of the head's axis, in cm.

    `rotation` takes the head's frame to the camera's (roll left out); `centre` is the point of
    that plane in the middle of the picture.
    """

    rotation: NDArray[np.float64]
    roll: float
    span: float
    centre: tuple[float, float]
    distance: float

    @classmethod
    def of(cls, pose: Pose, aim: tuple[float, float, float]) -> Frame:
        """The frame in which head point `aim` lies in the middle, but for the pose's shift."""
        cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
        cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
        yaw = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
        pitch = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
        rotation = pitch @ yaw
        x, y, z = (float(v) for v in rotation @ np.array(aim))
        scale = 1.0 / (1.0 - z / pose.distance)
        centre = (x * scale + pose.shift_x * pose.span, y * scale + pose.shift_y * pose.span)
        # Near cameras enlarge what is in front; the span is meant at the depth of the face.
        return cls(rotation, pose.roll, pose.span * scale, centre, pose.distance)

    def plane(self, size: int) -> tuple[Field, Field]:
        """The plane coordinates (cm, roll undone) of every pixel of a size x size picture."""
        line = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * self.span
        c, s = math.cos(self.roll), math.sin(self.roll)
        x, y = line[None, :], line[:, None]
        return x * c + y * s + self.centre[0], y * c - x * s + self.centre[1]

    def project(self, points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """Head points (N, 3) to pixel coordinates (N, 2); integers are pixel centres."""
        camera = points @ self.rotation.T
        near = 1.0 / (1.0 - camera[:, 2] / self.distance)
        x = camera[:, 0] * near - self.centre[0]
        y = camera[:, 1] * near - self.centre[1]
        c, s = math.cos(self.roll), math.sin(self.roll)
        unit = np.stack([x * c - y * s, x * s + y * c], axis=1) / self.span + 0.5
        return unit * size - 0.5


def resized(field: Field, size: int) -> Field:
    """A field (..., H, W) at another side, smoothly."""
    if field.shape[-1] == size:
        return field
    if field.ndim == 2:
        return cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
    planes = np.empty((len(field), size, size), np.float32)
    for plane, out in zip(field, planes, strict=True):
        cv2.resize(plane, (size, size), dst=out, interpolation=cv2.INTER_LINEAR)
    return planes


def smoothstep(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between (high < low turns it round)."""
    t = clamped((field - low) * (1.0 / (high - low)))
    smooth = 3.0 - 2.0 * t
    smooth *= t
    smooth *= t
    return smooth


def clamped(field: Field) -> Field:
    """The field itself, brought into 0..1 in place."""
    np.maximum(field, 0.0, out=field)
    return np.minimum(field, 1.0, out=field)


def bump(x: Field, y: Field, cx: float, cy: float, sx: float, sy: float) -> Field:
    """A Gaussian hill of height one."""
    dx, dy = (x - cx) * (1.0 / sx), (y - cy) * (1.0 / sy)
    dx *= dx
    dy *= dy
    dx += dy
    np.negative(dx, out=dx)
    return np.exp(dx, out=dx)


def ridge(x: Field, centre: float, width: float) -> Field:
    """A Gaussian of height one along one axis."""
    d = (x - centre) * (1.0 / width)
    return np.exp(-d * d)
