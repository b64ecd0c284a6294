"""Skin surfaces of one picture put together: head, ears and neck, and the light on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparnet.data.renderer.frame import Field, Frame
from sparnet.data.renderer.head import Hit, Relief, meet, skin_outline
from sparnet.data.renderer.lighting import FAR, Lit, normals, openness, shade, shadow
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.shot import Light, Shot
from sparnet.data.renderer.tresses import Shell, hair_shell, inside_hair

# The geometry has one side whatever the picture's, so that a face is the same at every size.
GEOMETRY_SIDE = 192


@dataclass(frozen=True)
class Body:
    """Skin over the picture: head coordinates, outline, light; and the hair's shell over it."""

    x: Field
    y: Field
    inside: Field
    skin: Lit
    shell: Shell
    hair_hit: Hit
    hair: Lit


def build(person: Person, shot: Shot, frame: Frame, relief: Relief) -> Body:
    size, pixel = GEOMETRY_SIDE, frame.span / GEOMETRY_SIDE
    head = meet(frame, skin_outline(person), relief, size)
    shell = hair_shell(person)
    locks = meet(frame, shell.outline, None, size)
    neck = _neck(person, frame, size)
    ears = [_ear(person, frame, side, size) for side in (-1.0, 1.0)]
    # Later layers lie in front.
    layers = [neck, *ears, head]
    x, y, depth = neck.x, neck.y, np.where(neck.inside > 0, neck.depth, FAR).astype(np.float32)
    inside, normal = neck.inside, normals(neck.depth, pixel)
    for layer in layers[1:]:
        front = layer.inside > 0
        x, y = np.where(front, layer.x, x), np.where(front, layer.y, y)
        depth = np.where(front, layer.depth, depth)
        inside = np.maximum(inside, layer.inside)
        normal = np.where(front, normals(layer.depth, pixel), normal)
    covered = (inside_hair(person.hair, shell, locks.x, locks.y) > 0.3) & (locks.inside > 0)
    scene = np.where(covered, np.maximum(locks.depth, depth), depth)
    light = shot.light
    arrives, open_sky = shadow(scene, light, pixel), openness(scene, pixel)
    skin = shade(normal, arrives, open_sky, light, 1.0, 0.5 + person.skin.oil)
    hair = _light_hair(locks, scene, light, pixel, arrives)
    return Body(x, y, inside, skin, shell, locks, hair)


def _light_hair(locks: Hit, scene: Field, light: Light, pixel: float, arrives: Field) -> Lit:
    soft = 0.5 + 0.5 * arrives
    return shade(normals(locks.depth, pixel), soft, openness(scene, pixel), light, 0.6, 0.6)


def _neck(person: Person, frame: Frame, size: int) -> Hit:
    """An upright cylinder that widens into the shoulders, facing the camera."""
    sx, sy = frame.plane(size)
    cx = 1.5 * float(frame.rotation[0, 2])
    flare = np.clip((sy - 12.0) * 0.2, 0.0, 4.0)
    radius = person.skull.neck + flare * flare
    x = sx - cx
    under_chin = 3.6 * np.exp(-np.maximum(sy - 10.5, 0.0) * (1.0 / 1.6))
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
    x = np.full_like(sx + sy, side * 7.4)
    y = sy + 0.0 * sx
    return Hit(x, y, x, depth.astype(np.float32), inside.astype(np.float32))
