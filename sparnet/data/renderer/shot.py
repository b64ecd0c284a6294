"""How the picture was taken: pose, expression, light, background and camera of one shot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparnet.data.renderer.colour import Colour, linear
from sparnet.data.renderer.draws import Draw


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
        cloth=_draw_cloth(draw),
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
    warmth = draw.normal(0.0, 0.07)
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


# sRGB colours of what stands behind people, by kind of place.
_STUDIO = (
    (130, 131, 134),
    (74, 77, 84),
    (196, 192, 186),
    (98, 90, 82),
    (150, 158, 166),
    (56, 57, 62),
)
_WALLS = ((206, 198, 186), (178, 172, 162), (150, 146, 140), (172, 178, 176), (122, 112, 102))
_THINGS = (
    (104, 78, 58),
    (66, 58, 54),
    (142, 116, 92),
    (92, 104, 116),
    (112, 116, 104),
    (226, 222, 214),
)
_LEAVES = ((92, 98, 68), (112, 114, 82), (74, 82, 60), (124, 124, 96), (82, 92, 74))
_SHADE = ((42, 46, 38), (52, 50, 42), (58, 62, 54))
_SKIES = ((190, 206, 222), (206, 214, 222), (168, 188, 210), (214, 212, 208))
_LAMPS = ((250, 226, 190), (240, 238, 230), (252, 206, 150), (214, 226, 240))

_PLACES = {
    "plain": (0.26, (_STUDIO, _STUDIO, _LAMPS)),
    "cloudy": (0.16, (_STUDIO, _WALLS, _LAMPS)),
    "bokeh": (0.16, (_SHADE, _THINGS, _LAMPS)),
    "room": (0.2, (_WALLS, _THINGS, _WALLS)),
    "foliage": (0.12, (_LEAVES, _SHADE, _SKIES)),
    "outdoors": (0.1, (_SKIES, _LEAVES, _WALLS)),
}


def _near(draw: Draw, palette: tuple[Colour, ...]) -> Colour:
    """A colour of the palette, lighter or darker and a little warmer or cooler."""
    red, green, blue = linear(draw.pick(palette))
    level, warmth = 2.0 ** draw.normal(0.0, 0.35), draw.normal(0.0, 0.06)
    return red * level * (1.0 + warmth), green * level, blue * level * (1.0 - 1.3 * warmth)


def _draw_background(draw: Draw) -> Background:
    kind = draw.pick(tuple(_PLACES), [weight for weight, _ in _PLACES.values()])
    first, second, third = (_near(draw, palette) for palette in _PLACES[kind][1])
    return Background(
        kind, (first, second, third), draw.uniform(0.018, 0.05), draw.uniform(0.0, 512.0)
    )


def _draw_cloth(draw: Draw) -> Colour:
    level = 0.02 * (0.55 / 0.02) ** draw.uniform(0.0, 1.0)
    red, green, blue = (max(level * (1.0 + draw.normal(0.0, 0.17)), 0.003) for _ in range(3))
    return red, green, blue


def _draw_camera(draw: Draw) -> Camera:
    warmth = draw.normal(0.0, 0.05)
    return Camera(
        exposure=2.0 ** draw.normal(0.0, 0.25),
        contrast=draw.normal(1.18, 0.1),
        saturation=draw.normal(1.05, 0.1),
        balance=(1.0 + warmth, 1.0 + draw.normal(0.0, 0.012), 1.0 - warmth),
        blur=max(draw.normal(0.0008, 0.0012), 0.0),
        grain=draw.uniform(0.002, 0.014),
        vignette=draw.uniform(0.0, 0.25),
        quality=draw.pick((0, 88, 93, 96)),
    )
