"""How the picture was taken: pose, expression, light, background and camera of one shot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparnet.data.renderer.draws import Draw

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Angles in radians; `span` is the picture's height in cm; shifts are parts of the picture."""

    yaw: float
    pitch: float
    roll: float
    span: float
    shift_x: float
    shift_y: float
    distance: float


@dataclass(frozen=True)
class Expression:
    smile: float
    open: float
    brow_raise: float
    lids: float
    gaze_x: float
    gaze_y: float


@dataclass(frozen=True)
class Light:
    """Direction points from the face to the light in picture axes (x right, y down, z out)."""

    direction: tuple[float, float, float]
    key: Colour
    ambient: Colour
    bounce: Colour
    softness: float
    rim: float


@dataclass(frozen=True)
class Background:
    kind: str
    colours: tuple[Colour, Colour, Colour]
    blur: float
    seed: float


@dataclass(frozen=True)
class Camera:
    exposure: float
    contrast: float
    saturation: float
    balance: Colour
    blur: float
    grain: float
    vignette: float
    quality: int


@dataclass(frozen=True)
class Shot:
    pose: Pose
    expression: Expression
    light: Light
    background: Background
    camera: Camera
    glasses: bool
    collar: float
    cloth: Colour
    texture_x: float
    texture_y: float


def draw_shot(seed: int, person_index: int, picture_index: int) -> Shot:
    """The circumstances of one picture of one person."""
    draw = Draw(seed, person_index, picture_index)
    background = _draw_background(draw)
    return Shot(
        pose=_draw_pose(draw),
        expression=_draw_expression(draw),
        light=_draw_light(draw, background),
        background=background,
        camera=_draw_camera(draw),
        glasses=draw.chance(0.85),
        collar=draw.uniform(14.0, 17.5),
        cloth=_muted(draw, 0.02, 0.55, 0.5),
        texture_x=draw.uniform(0.0, 512.0),
        texture_y=draw.uniform(0.0, 512.0),
    )


def _draw_pose(draw: Draw) -> Pose:
    return Pose(
        yaw=math.radians(draw.normal(0.0, 11.0)),
        pitch=math.radians(draw.normal(0.0, 5.0)),
        roll=math.radians(draw.normal(0.0, 5.0)),
        span=draw.normal(22.6, 1.2),
        shift_x=draw.normal(0.0, 0.02),
        shift_y=draw.normal(0.0, 0.02),
        distance=1.0 / draw.uniform(1 / 220.0, 1 / 55.0),
    )


def _draw_expression(draw: Draw) -> Expression:
    smiling = draw.chance(0.62)
    smile = draw.uniform(0.25, 1.0) if smiling else max(draw.normal(0.0, 0.12), 0.0)
    toothy = smile > 0.42 and draw.chance(0.8)
    talking = draw.chance(0.12)
    return Expression(
        smile=smile,
        open=draw.uniform(0.5, 1.05) if toothy else draw.uniform(0.1, 0.7) * talking,
        brow_raise=draw.normal(0.0, 0.12),
        lids=draw.normal(1.0, 0.09) - 0.14 * smile,
        gaze_x=draw.normal(0.0, 0.09),
        gaze_y=draw.normal(0.0, 0.05),
    )


def _draw_light(draw: Draw, background: Background) -> Light:
    azimuth = math.radians(draw.normal(0.0, 38.0))
    height = math.radians(draw.normal(32.0, 16.0))
    warmth = draw.normal(0.0, 0.09)
    sky = draw.normal(0.0, 0.07)
    ambient = draw.uniform(0.16, 0.5)
    around = background.colours[0]
    mean = sum(around) / 3.0
    red, green, blue = (ambient * (1.0 + 0.2 * (c / mean - 1.0)) for c in around)
    key = 1.25 - ambient
    return Light(
        direction=(
            math.sin(azimuth) * math.cos(height),
            -math.sin(height),
            math.cos(azimuth) * math.cos(height),
        ),
        key=(key * (1 + warmth), key, key * (1 - 1.3 * warmth)),
        ambient=(red * (1 + sky), green, blue * (1 - 1.3 * sky)),
        bounce=(red * 0.55, green * 0.48, blue * 0.42),
        softness=draw.uniform(0.15, 1.0),
        rim=draw.uniform(0.1, 0.6) if draw.chance(0.3) else 0.0,
    )


def _muted(draw: Draw, low: float, high: float, colourfulness: float) -> Colour:
    level = low * (high / low) ** draw.uniform(0.0, 1.0)
    tint = [1.0 + colourfulness * draw.normal(0.0, 0.4) for _ in range(3)]
    red, green, blue = (max(level * t, 0.003) for t in tint)
    return red, green, blue


def _draw_background(draw: Draw) -> Background:
    kinds = ("plain", "bokeh", "room", "foliage", "cloudy")
    kind = draw.pick(kinds, (0.22, 0.2, 0.25, 0.15, 0.18))
    colourfulness = draw.uniform(0.1, 0.7)
    colours = (
        _muted(draw, 0.03, 0.9, colourfulness),
        _muted(draw, 0.02, 0.9, colourfulness),
        _muted(draw, 0.05, 0.9, colourfulness),
    )
    if kind == "foliage":
        green = draw.uniform(0.06, 0.25)
        colours = ((green * 0.5, green, green * 0.25), (0.02, 0.04, 0.015), colours[2])
    return Background(kind, colours, draw.uniform(0.01, 0.045), draw.uniform(0.0, 512.0))


def _draw_camera(draw: Draw) -> Camera:
    warmth = draw.normal(0.0, 0.05)
    return Camera(
        exposure=2.0 ** draw.normal(0.0, 0.25),
        contrast=draw.normal(1.18, 0.1),
        saturation=draw.normal(1.1, 0.12),
        balance=(1.0 + warmth, 1.0 + draw.normal(0.0, 0.012), 1.0 - warmth),
        blur=max(draw.normal(0.0008, 0.0012), 0.0),
        grain=draw.uniform(0.002, 0.014),
        vignette=draw.uniform(0.0, 0.25),
        quality=draw.pick((0, 88, 93, 96)),
    )
