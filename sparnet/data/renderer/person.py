"""Who is in the picture: everything about a person that stays from one picture to the next.

Lengths are centimetres in the head's own frame: x to the right of the picture, y down from the
line between the pupils, z towards the camera from the axis of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparnet.data.renderer.colour import Colour
from sparnet.data.renderer.hair import Hair


@dataclass(frozen=True)
class Skull:
    cheek: float
    jaw: float
    chin_width: float
    chin: float
    cranium: float
    crown: float
    forehead: float
    brow_ridge: float
    cheekbone: float
    chin_depth: float
    socket: float
    fullness: float
    neck: float
    cleft: float
    ears: float


@dataclass(frozen=True)
class Nose:
    length: float
    width: float
    bridge: float
    height: float
    hump: float
    tip: float
    reach: float
    upturn: float
    bend: float


@dataclass(frozen=True)
class Eyes:
    spacing: float
    length: float
    upper: float
    lower: float
    tilt: float
    crease: float
    iris: Colour
    inner_iris: Colour
    bags: float
    liner: float
    shadow: float


@dataclass(frozen=True)
class Brows:
    height: float
    length: float
    thickness: float
    arch: float
    slope: float
    density: float


@dataclass(frozen=True)
class Mouth:
    y: float
    width: float
    upper: float
    lower: float
    bow: float
    curve: float
    lipstick: float
    lip_colour: Colour


@dataclass(frozen=True)
class Skin:
    melanin: float
    colour: Colour
    redness: float
    blotches: float
    freckles: float
    wrinkles: float
    oil: float
    moles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Beard:
    style: str
    density: float
    shadow: float


@dataclass(frozen=True)
class Glasses:
    width: float
    height: float
    squareness: float
    thickness: float
    colour: Colour


@dataclass(frozen=True)
class Person:
    """One person's looks; `id` is the name under which data sets know the person."""

    id: str
    masculinity: float
    age: float
    skull: Skull
    nose: Nose
    eyes: Eyes
    brows: Brows
    mouth: Mouth
    skin: Skin
    hair: Hair
    beard: Beard
    glasses: Glasses | None
