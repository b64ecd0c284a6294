"""One picture of one person, from the draws to the bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer import accessories, eyes, mouth, skin, tresses
from sparnet.data.renderer.backdrop import backdrop
from sparnet.data.renderer.body import Body, Layer, build
from sparnet.data.renderer.camera import develop
from sparnet.data.renderer.canvas import Canvas, region
from sparnet.data.renderer.casting import person
from sparnet.data.renderer.frame import Field, Frame, clamped, resized
from sparnet.data.renderer.head import Relief, on_surface, skin_outline
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.shot import Expression, Shot, draw_shot

_LEAST_SIDE = 128
# Features are painted on pixels no wider than this (cm).
_FINE = 0.12


@dataclass(frozen=True)
class Rendered:
    """A picture and what is true of it.

    `image` is uint8 RGB (size, size, 3). `landmarks` is float32 (5, 2), pixels with integers at
    pixel centres: eye on the picture's left, eye on its right, tip of the nose, mouth corner on
    the left, on the right. `person` is the person's id.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    person: str


def render(seed: int, person_index: int, picture_index: int, size: int) -> Rendered:
    """Picture `picture_index` of person `person_index` in the world `seed`, size x size pixels.

    The draws do not depend on `size`: another size is the same picture at another scale.
    Raises ValueError where a number is negative or `size` is less than 8.
    """
    if min(seed, person_index, picture_index) < 0 or size < 8:
        raise ValueError(
            f"render needs seed, person and picture >= 0 and size >= 8, got "
            f"{seed}, {person_index}, {picture_index}, {size}"
        )
    who = person(seed, person_index)
    shot = draw_shot(seed, person_index, picture_index)
    relief = Relief(who, shot.expression)
    points = landmark_points(who, shot.expression, relief)
    middle = 0.5 * (points[:2].mean(0) + points[3:].mean(0))
    aim = (0.0, float(middle[1]) - 1.9, float(middle[2]))
    frame = Frame.of(shot.pose, aim)
    body = build(who, shot, frame, relief)
    linear = _paint(who, shot, frame, body, _detail_side(size))
    offset = (shot.texture_x, shot.texture_y)
    image = develop(linear, shot.camera, _gain(body, who, shot), size, offset)
    landmarks = frame.project(points, size).astype(np.float32)
    return Rendered(image, landmarks, who.id)


def landmark_points(who: Person, expression: Expression, relief: Relief) -> NDArray[np.float64]:
    """The five landmarks on the head's surface, (5, 3) in its frame (cm)."""
    corner, corner_y = mouth.mouth_corner(who, expression)
    tip = who.nose.length
    eye_y = 0.5 * (who.eyes.lower - who.eyes.upper * expression.lids)
    flat = (
        (-who.eyes.spacing, eye_y),
        (who.eyes.spacing, eye_y),
        (who.nose.bend * tip, tip),
        (-corner, corner_y),
        (corner, corner_y),
    )
    return on_surface(skin_outline(who), relief, np.array(flat))


def _detail_side(size: int) -> int:
    """Small pictures are painted a whole number of times larger and averaged down."""
    return size * max(1, math.ceil(_LEAST_SIDE / size))


def _paint(who: Person, shot: Shot, frame: Frame, body: Body, side: int) -> Field:
    rgb = backdrop(shot.background, side)
    offset = (shot.texture_x, shot.texture_y)
    pixel = frame.span / side
    hair = _canvas(rgb, body.hair, pixel, offset)
    coat = tresses.coat(who, body.hair, offset)
    tresses.paint_back(rgb, who, body.hair)
    _paint_skin(_canvas(rgb, body.neck, pixel, offset), who, body.neck)
    accessories.paint_clothes(hair, who, shot, *frame.plane(side))
    head = _canvas(rgb, body.head, pixel, offset)
    _paint_skin(head, who, body.head)
    paint = partial(_paint_features, who=who, shot=shot)
    face = region(body.head.inside > 0, side)
    if face is not None:
        part = head.part(*face)
        part.closeup(paint) if pixel > _FINE else paint(part)
    tresses.paint_hair(hair, who, coat)
    return rgb


def _canvas(rgb: Field, layer: Layer, pixel: float, offset: tuple[float, float]) -> Canvas:
    """The layer at the picture's side, to paint on."""
    side = rgb.shape[-1]
    return Canvas(
        rgb,
        resized(layer.x, side),
        resized(layer.y, side),
        resized(layer.irradiance, side),
        resized(layer.gloss, side),
        clamped(resized(layer.inside, side) * (1.0 / pixel) + 0.5),
        pixel,
        offset,
    )


def _paint_skin(canvas: Canvas, who: Person, layer: Layer) -> None:
    coarse, side = layer.x.shape[0], canvas.rgb.shape[-1]
    shown = region(layer.inside > -0.3, coarse)
    here = region(layer.inside > -0.3, side)
    if shown is None or here is None:
        return
    albedo = np.zeros((3, coarse, coarse), np.float32)
    albedo[:, *shown] = skin.albedo(who, layer.x[shown], layer.y[shown], canvas.offset)
    colour = resized(albedo, side)[:, *here]
    canvas = canvas.part(*here)
    pores = canvas.noise("pores", canvas.x, canvas.y, 26.0)
    colour *= 1.0 + (0.04 + 0.025 * who.skin.wrinkles) * pores
    canvas.paint(colour)
    shine = (0.045 + 0.07 * who.skin.oil) * canvas.gloss
    canvas.glow(shine * np.clip(1.0 + 0.4 * pores, 0.0, 2.0))


def _paint_features(canvas: Canvas, who: Person, shot: Shot) -> None:
    skin.paint_spots(canvas, who)
    skin.paint_wrinkles(canvas, who, shot.expression)
    skin.paint_beard(canvas, who)
    mouth.paint_nostrils(canvas, who, shot.expression)
    mouth.paint_mouth(canvas, who, shot.expression)
    eyes.paint_eyes(canvas, who, shot)
    eyes.paint_brows(canvas, who, shot)
    if who.glasses and shot.glasses:
        accessories.paint_glasses(canvas, who, who.glasses, shot)


def _gain(body: Body, who: Person, shot: Shot) -> float:
    """Exposure: the camera meters on the face, and half follows it."""
    lit = body.head.irradiance[1][body.head.inside > 0]
    level = float(lit.mean()) * (0.3 * who.skin.colour[0] + 0.7 * who.skin.colour[1])
    return shot.camera.exposure * 1.05 * (0.4 / max(level, 0.02)) ** 0.5
