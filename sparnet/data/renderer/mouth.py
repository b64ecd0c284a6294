"""Mouth and nostrils."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparnet.data.renderer.canvas import Canvas, tinted
from sparnet.data.renderer.frame import Field, bump, smoothstep
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.shot import Expression


@dataclass(frozen=True)
class Lips:
    """Lip lines at each x, top to bottom: top edge, opening's top and bottom, bottom edge (cm)."""

    t: Field
    top: Field
    parting_top: Field
    parting_bottom: Field
    bottom: Field


def mouth_half_width(person: Person, expression: Expression) -> float:
    return person.mouth.width * (1.0 + 0.17 * expression.smile)


def corner_height(person: Person, expression: Expression) -> float:
    """y of the mouth corners (cm)."""
    return person.mouth.y - 0.42 * expression.smile - person.mouth.curve


def mouth_corner(person: Person, expression: Expression) -> tuple[float, float]:
    """x and y (cm) of the visible end of the lips on the right; the line fades just past it."""
    end = 0.96
    lift = corner_height(person, expression) - person.mouth.y
    return end * mouth_half_width(person, expression), person.mouth.y + lift * end * end


def lip_lines(person: Person, expression: Expression, x: Field) -> Lips:
    mouth = person.mouth
    t = x * (1.0 / mouth_half_width(person, expression))
    arc = np.clip(1.0 - t * t, 0.0, 1.0)
    lift = corner_height(person, expression) - mouth.y
    middle = mouth.y + lift * t * t + 0.04 * np.exp(-((t * 5.0) ** 2))
    gap = expression.open * arc**0.8
    thin = 1.0 - 0.22 * expression.smile
    cupid = mouth.bow * (np.exp(-((t * 7.0) ** 2)) - 0.6 * np.exp(-(((np.abs(t) - 0.25) * 6) ** 2)))
    upper = mouth.upper * thin * arc**0.9
    lower = mouth.lower * thin * arc**0.7
    parting_top = middle - 0.35 * gap
    parting_bottom = middle + 0.65 * gap
    return Lips(
        t,
        parting_top - upper + cupid * arc,
        parting_top,
        parting_bottom,
        parting_bottom + lower,
    )


def paint_mouth(canvas: Canvas, person: Person, expression: Expression) -> None:
    reach = mouth_half_width(person, expression) + 0.9
    part = canvas.window(-reach, person.mouth.y - 2.0, reach, person.mouth.y + 2.8)
    if part is None:
        return
    lips = lip_lines(person, expression, part.x)
    inside = part.edge(np.minimum(part.y - lips.top, lips.bottom - part.y), 0.1)
    inside *= smoothstep(np.abs(lips.t), 1.03, 0.93)
    _paint_lips(part, person, lips, inside)
    if expression.open > 0.06:
        _paint_opening(part, lips, expression)
    seam = (part.y - np.clip(part.y, lips.parting_top, lips.parting_bottom)) * (1.0 / 0.075)
    seam = np.exp(-seam * seam) * smoothstep(np.abs(lips.t), 1.08, 0.9)
    hollow = bump(np.abs(lips.t), part.y, 1.0, corner_height(person, expression), 0.1, 0.16)
    closed = 1.0 - part.edge(np.minimum(part.y - lips.parting_top, lips.parting_bottom - part.y))
    part.stain((0.3, 0.17, 0.16), np.minimum(0.85 * seam + 0.5 * hollow, 0.9) * closed)
    under = bump(lips.t, part.y - lips.bottom, 0.0, 0.22, 0.62, 0.24)
    part.stain((0.8, 0.76, 0.74), 0.55 * under)


def _paint_lips(part: Canvas, person: Person, lips: Lips, inside: Field) -> None:
    mouth = person.mouth
    folds = part.noise("strands", part.x, 0.25 * part.y, 16.0)
    height = (part.y - lips.top) / np.maximum(lips.bottom - lips.top, 0.05)
    upper = smoothstep(part.y - lips.parting_top, 0.1, -0.1)
    tone = (1.0 - 0.2 * upper) * (1.0 + 0.05 * folds) * (1.0 - 0.2 * smoothstep(height, 0.8, 1.05))
    part.paint(tinted(mouth.lip_colour, tone), (0.82 + 0.18 * mouth.lipstick) * inside)
    wet = bump(lips.t, height, 0.05, 0.72, 0.42, 0.1) * (0.75 + 0.35 * folds)
    shine = (0.05 + 0.10 * mouth.lipstick + 0.06 * person.skin.oil) * np.clip(wet, 0, 1)
    part.glow(shine * part.light[1] * inside)


def _paint_opening(part: Canvas, lips: Lips, expression: Expression) -> None:
    opening = part.edge(np.minimum(part.y - lips.parting_top, lips.parting_bottom - part.y), 0.03)
    opening = opening * smoothstep(np.abs(lips.t), 1.0, 0.95)
    part.paint((0.05, 0.016, 0.014), opening)
    curve = 0.1 * (1.0 - lips.t * lips.t)
    edge = lips.parting_top + 0.78 * np.minimum(expression.open, 0.85) + curve - 0.05
    edge = np.minimum(edge, lips.parting_bottom + 0.1)
    place = part.x * (1.0 - 0.035 * np.abs(part.x)) * (1.0 / 0.78)
    gap = np.abs(place - np.round(place)) * 2.0
    between = np.clip(1.0 - gap * 7.0, 0.0, 1.0)
    bite = edge - 0.07 * (1.0 - gap) ** 3
    teeth = part.edge(bite - part.y, 0.02) * opening * smoothstep(np.abs(lips.t), 0.97, 0.72)
    shade = (1.0 - 0.5 * np.abs(lips.t) ** 1.5) * (1.0 - 0.35 * between)
    shade = shade * (0.55 + 0.45 * smoothstep(part.y - lips.parting_top, 0.0, 0.22))
    part.paint(tinted((0.66, 0.62, 0.55), shade), teeth)


def paint_nostrils(canvas: Canvas, person: Person, expression: Expression) -> None:
    nose = person.nose
    wing = nose.width * (1.0 + 0.1 * expression.smile)
    part = canvas.window(-wing - 0.9, nose.length - 1.2, wing + 0.9, nose.length + 1.6)
    if part is None:
        return
    ax = np.abs(part.x - nose.bend * part.y)
    y = part.y - nose.length
    hole = ((ax - 0.5 * wing) * (1.0 / (0.24 * wing))) ** 2
    tilted = y - 0.68 + 0.25 * (ax - 0.5 * wing)
    hole = hole + (tilted * (1.0 / (0.16 + 0.1 * nose.upturn))) ** 2
    part.stain((0.22, 0.12, 0.11), 0.92 * np.exp(-(hole**1.4)))
    beside = bump(ax, y, wing + 0.1, 0.25, 0.12, 0.42)
    part.stain((0.62, 0.52, 0.49), 0.7 * beside)
    base = np.exp(-(((y - 0.95) * (1.0 / 0.15)) ** 2)) * smoothstep(ax, wing, 0.6 * wing)
    part.stain((0.6, 0.5, 0.47), 0.5 * base)
