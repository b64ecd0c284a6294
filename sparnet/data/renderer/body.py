"""Skin surfaces of one picture put together: head, ears and neck, and the light on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sparnet.data.renderer.canvas import region
from sparnet.data.renderer.frame import Field, Frame, bump, ridge
from sparnet.data.renderer.head import Relief, skin_outline
from sparnet.data.renderer.lighting import (
    FAR,
    Layer,
    normals,
    openness,
    shade,
    shadow,
    skin_gloss,
    strand_gloss,
)
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.rays import Hit, meet
from sparnet.data.renderer.shot import Light, Shot
from sparnet.data.renderer.tresses import LONG, hair_shell, inside_hair

_Gloss = Callable[[Field, Field, Light], Field]

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
        _add_ear(back, person, frame, side)
    scene = np.where(back.inside > 0, back.depth, FAR)
    scene = _over(scene, head.depth, head.inside, pixel)
    covered = np.minimum(inside_hair(person, locks.x, locks.y) - 0.3, locks.inside)
    scene = _over(scene, locks.depth, covered, pixel)
    light = shot.light
    arrives, open_sky = shadow(scene, light, pixel), openness(scene, pixel)

    def layer(hit: Hit, falls: Field, scatter: float, gloss: _Gloss) -> Layer:
        irradiance, shine = np.zeros((3, size, size), np.float32), np.zeros_like(scene)
        here = region(hit.inside > -1.0, size)
        if here is not None:
            normal, falls = normals(hit.depth[here], pixel), falls[here]
            irradiance[:, *here] = shade(normal, falls, open_sky[here], light, scatter)
            shine[here] = gloss(normal, falls, light)
        return Layer(*(_cut(f) for f in (hit.x, hit.y, hit.inside, irradiance, shine)))

    oily = partial(skin_gloss, polish=0.5 + person.skin.oil)
    return Body(
        layer(back, arrives, 1.0, oily),
        layer(head, arrives, 1.0, oily),
        layer(locks, 0.5 + 0.5 * arrives, 0.6, strand_gloss),
    )


def _cut(field: Field) -> Field:
    return np.ascontiguousarray(field[..., MARGIN:-MARGIN, MARGIN:-MARGIN])


def _over(scene: Field, depth: Field, inside: Field, pixel: float) -> Field:
    """The depth of a scene with a surface put before it, blended over the pixel at its edge."""
    shown = np.clip(inside * (1.0 / pixel) + 0.5, 0.0, 1.0)
    return scene + shown * np.maximum(depth - scene, 0.0)


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
    return Hit(x, 11.0 + np.abs(sy - 11.0), depth, depth.copy(), np.clip(inside, -6.0, 6.0))


def _add_ear(back: Hit, person: Person, frame: Frame, side: float) -> None:
    """Lay a shell-like disc over the neck's surface, beside the head and turned with it."""
    size = back.x.shape[0]
    sx, sy = frame.plane(size)
    skull = person.skull
    root = np.array([side * (skull.cheek + 0.3), 1.1, -0.8]) @ frame.rotation.T
    near = 1.0 / (1.0 - root[2] / frame.distance)
    turn = float(frame.rotation[0, 2])
    half_width = 0.95 * skull.ears * max(1.0 - 1.6 * side * -turn, 0.35)
    u = side * (sx - float(root[0] * near)) / half_width
    v = (sy - float(root[1] * near)) / (3.05 * skull.ears)
    here = region((np.abs(u) < 1.4) & (np.abs(v) < 1.4), size)
    if here is None:
        return
    depth, r = _shell(u[here] + 0.22 * v[here], v[here])
    inside = (1.0 - r) * half_width
    shown = np.clip(inside * (size / frame.span) + 0.5, 0.0, 1.0)
    across = side * 7.4 + 0.4 * (sx[here] - float(root[0] * near))
    ear = (across, sy[here], across, float(root[2]) + 0.75 * half_width * depth)
    for field, value in zip((back.x, back.y, back.z, back.depth), ear, strict=True):
        field[here] += shown * (value - field[here])
    back.inside[here] = np.maximum(back.inside[here], inside)


def _shell(u: Field, v: Field) -> tuple[Field, Field]:
    """Relief (cm) of an ear, and how far out of its middle a point lies (1 at the rim)."""
    across = u * (1.0 + 0.35 * np.maximum(v, 0.0))
    r2 = across * across + v * v
    r = np.sqrt(r2)
    helix = ridge(r, 0.84, 0.14)
    fold = ridge(np.hypot(across + 0.15, v + 0.05), 0.5, 0.12) * (v < 0.4)
    return 0.32 * helix + 0.2 * fold - 0.75 * bump(u, v, -0.25, 0.12, 0.35, 0.3) - 0.5 * r2, r
