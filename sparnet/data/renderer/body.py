"""Skin surfaces of one picture put together: head, ears and neck, and the light on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparnet.data.renderer.frame import Field, Frame
from sparnet.data.renderer.head import Hit, Relief, meet, skin_outline
from sparnet.data.renderer.lighting import FAR, Layer, normals, openness, shade, shadow
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.shot import Shot
from sparnet.data.renderer.tresses import LONG, hair_shell, inside_hair

# The geometry has one side whatever the picture's, so that a face is the same at every size.
GEOMETRY_SIDE = 160
# Filters go wrong at borders, so this many pixels on each side are computed and cut off.
MARGIN = 4


@dataclass(frozen=True)
class Body:
    """Back to front: neck with ears, the head, the hair's shell."""

    neck: Layer
    head: Layer
    hair: Layer


def build(person: Person, shot: Shot, frame: Frame, relief: Relief) -> Body:
    """Meet all surfaces and light them; fields have side GEOMETRY_SIDE less its margins."""
    size, pixel = GEOMETRY_SIDE, frame.span / (GEOMETRY_SIDE - 2 * MARGIN)
    frame = replace(frame, span=pixel * size)
    head = meet(frame, skin_outline(person), relief, size)
    locks = meet(frame, hair_shell(person), None, size)
    back = _neck(person, frame, size)
    # Long hair hides the ears.
    for side in () if person.hair.length > LONG else (-1.0, 1.0):
        back = _before(back, _ear(person, frame, side, size), pixel)
    scene = np.where(back.inside > 0, back.depth, FAR)
    scene = np.where(head.inside > 0, np.maximum(head.depth, scene), scene)
    covered = (inside_hair(person, locks.x, locks.y) > 0.3) & (locks.inside > 0)
    scene = np.where(covered, np.maximum(locks.depth, scene), scene).astype(np.float32)
    light = shot.light
    arrives, open_sky = shadow(scene, light, pixel), openness(scene, pixel)
    half = 0.5 + 0.5 * arrives

    def layer(hit: Hit, falls: Field, scatter: float, polish: float) -> Layer:
        lit = shade(normals(hit.depth, pixel), falls, open_sky, light, scatter, polish)
        return Layer(
            _cut(hit.x), _cut(hit.y), _cut(hit.inside), _cut(lit.irradiance), _cut(lit.gloss)
        )

    polish = 0.5 + person.skin.oil
    return Body(
        layer(back, arrives, 1.0, polish),
        layer(head, arrives, 1.0, polish),
        layer(locks, half, 0.6, 0.6),
    )


def _cut(field: Field) -> Field:
    return np.ascontiguousarray(field[..., MARGIN:-MARGIN, MARGIN:-MARGIN])


def _before(back: Hit, front: Hit, pixel: float) -> Hit:
    """One surface laid over another, blended over the pixel at its edge."""
    shown = np.clip(front.inside * (1.0 / pixel) + 0.5, 0.0, 1.0)
    x, y, z, depth = (
        getattr(back, name) + shown * (getattr(front, name) - getattr(back, name))
        for name in ("x", "y", "z", "depth")
    )
    return Hit(x, y, z, depth, np.maximum(back.inside, front.inside))


def _neck(person: Person, frame: Frame, size: int) -> Hit:
    """An upright cylinder that widens into the shoulders, facing the camera."""
    sx, sy = frame.plane(size)
    cx = 1.5 * float(frame.rotation[0, 2])
    flare = np.clip((sy - 12.0) * 0.2, 0.0, 4.0)
    radius = person.skull.neck + flare * flare
    x = sx - cx
    under_chin = 3.6 / (1.0 + np.exp((sy - 12.0) * (1.0 / 0.8)))
    depth = -2.6 + np.sqrt(np.maximum(radius * radius - x * x, 0.0)) + under_chin
    throat = 0.35 * np.exp(-(x * x) / 1.2) * np.exp(-((sy - 14.5) ** 2) / 6.0)
    inside = np.minimum(radius - np.abs(x), np.maximum(sy - 3.0, -6.0))
    depth = (depth + throat * person.masculinity).astype(np.float32)
    return Hit(x, np.maximum(sy, 11.0), depth, depth, np.clip(inside, -6.0, 6.0))


def _ear(person: Person, frame: Frame, side: float, size: int) -> Hit:
    """A shell-like disc beside the head, turned with it."""
    sx, sy = frame.plane(size)
    skull = person.skull
    root = np.array([side * (skull.cheek + 0.3), 1.1, -0.8]) @ frame.rotation.T
    near = 1.0 / (1.0 - root[2] / frame.distance)
    turn = float(frame.rotation[0, 2])
    half_width = 0.95 * skull.ears * max(1.0 - 1.6 * side * -turn, 0.35)
    u = side * (sx - float(root[0] * near)) / half_width
    v = (sy - float(root[1] * near)) / (3.05 * skull.ears)
    u = u + 0.22 * v
    squeeze = 1.0 + 0.35 * np.maximum(v, 0.0)
    r2 = (u * squeeze) ** 2 + v * v
    r = np.sqrt(r2)
    helix = np.exp(-(((r - 0.84) / 0.14) ** 2))
    fold = np.exp(-(((np.hypot(u * squeeze + 0.15, v + 0.05) - 0.5) / 0.12) ** 2)) * (v < 0.4)
    bowl = np.exp(-(((u + 0.25) / 0.35) ** 2) - ((v - 0.12) / 0.3) ** 2)
    depth = float(root[2]) + 0.32 * helix + 0.2 * fold - 0.75 * bowl - 0.5 * r2
    inside = np.clip((1.0 - r) * half_width, -6.0, 6.0)
    x = np.full_like(sx, side * 7.4)
    return Hit(x, sy, x, depth.astype(np.float32), inside.astype(np.float32))
