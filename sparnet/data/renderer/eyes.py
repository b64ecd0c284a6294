"""Eyes: lids, eyeball, iris, lashes; and the brows above them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sparnet.data.renderer.canvas import Canvas, tinted
from sparnet.data.renderer.frame import Field, bump, smoothstep
from sparnet.data.renderer.person import Eyes, Person
from sparnet.data.renderer.shot import Shot

IRIS = 0.585


@dataclass(frozen=True)
class _Lids:
    """Eye coordinates (u outwards, v down, cm) and the lid lines at each u."""

    u: Field
    v: Field
    t: Field
    upper: Field
    lower: Field


def paint_eyes(canvas: Canvas, person: Person, shot: Shot) -> None:
    eyes = person.eyes
    reach = eyes.spacing + 2.6
    part = canvas.window(-reach, -1.9, reach, 1.9)
    if part is None:
        return
    lids = _lids(part, eyes, shot.expression.lids)
    _surroundings(part, person, lids)
    opening = part.edge(np.minimum(lids.v - lids.upper, lids.lower - lids.v), 0.03)
    opening *= part.cover
    ball = _eyeball(part, person, shot, lids)
    for channel in range(3):
        part.rgb[channel] += opening * (ball[channel] - part.rgb[channel])
    _lashes(part, person, lids)


def _lids(part: Canvas, eyes: Eyes, open_by: float) -> _Lids:
    u, v = np.abs(part.x) - eyes.spacing, part.y
    c, s = math.cos(eyes.tilt), math.sin(eyes.tilt)
    u, v = u * c - v * s, v * c + u * s
    t = u * (1.0 / eyes.length)
    arc = np.clip(1.0 - t * t, 0.0, 1.0)
    bow = arc**0.72
    # The inner corner runs out in a small downward point; the upper lid peaks towards it.
    upper = -eyes.upper * open_by * bow * (1.0 - 0.13 * t) + 0.05 * (t < -0.8) * (-0.8 - t)
    lower = eyes.lower * bow * (1.0 + 0.18 * t)
    outside = np.abs(t) >= 1.0
    upper = np.where(outside, 0.02, upper).astype(np.float32)
    lower = np.where(outside, -0.02, lower).astype(np.float32)
    return _Lids(u, v, t, upper, lower)


def _surroundings(part: Canvas, person: Person, lids: _Lids) -> None:
    """Crease of the upper lid, bags, and paint on the lid."""
    eyes = person.eyes
    fade = smoothstep(np.abs(lids.t), 1.35, 0.75)
    above = lids.upper - lids.v
    crease = (above - eyes.crease * (0.72 + 0.28 * (1.0 - lids.t * lids.t))) * (1.0 / 0.085)
    part.stain((0.52, 0.44, 0.40), 0.75 * np.exp(-crease * crease) * fade)
    if eyes.shadow:
        lid = smoothstep(above, -0.05, 0.05) * smoothstep(above, eyes.crease + 0.5, 0.1) * fade
        part.stain((0.5, 0.42, 0.42), eyes.shadow * lid)
    deep = np.exp(-(((above - eyes.crease - 0.12) * (1.0 / 0.25)) ** 2))
    part.stain((0.78, 0.74, 0.72), 0.35 * deep * fade)
    under = lids.v - lids.lower
    bag = (under - 0.52 - 0.1 * lids.t) * (1.0 / 0.12)
    part.stain((0.7, 0.62, 0.6), min(0.25 + eyes.bags, 0.9) * 0.6 * np.exp(-bag * bag) * fade)
    rim = np.exp(-(((under - 0.03) * (1.0 / 0.05)) ** 2)) * fade
    part.stain((1.1, 0.93, 0.93), 0.6 * rim)


def _eyeball(part: Canvas, person: Person, shot: Shot, lids: _Lids) -> Field:
    """Sclera, iris, pupil and catch-light, lit."""
    eyes, look = person.eyes, shot.expression
    du = lids.u - look.gaze_x * np.sign(part.x) - 0.02
    dv = lids.v - look.gaze_y + 0.06
    r = np.sqrt(du * du + dv * dv)
    corner = smoothstep(np.abs(lids.t), 0.45, 1.0)
    lid_shade = 0.42 + 0.58 * smoothstep(lids.v - lids.upper, 0.0, 0.34)
    round_shade = lid_shade * (1.0 - 0.38 * corner)
    inner = bump(lids.t, lids.v, -0.95, 0.05, 0.12, 0.3)
    pink = 0.28 * corner + 0.5 * inner
    white = (0.62, 0.60 - 0.16 * pink, 0.585 - 0.19 * pink)
    iris = _iris(part, eyes, du, dv, r, shot)
    ring = part.edge(IRIS - r, 0.05)
    pupil_radius = 0.2 + 0.05 * (shot.light.softness - 0.5)
    pupil = part.edge(pupil_radius - r, 0.03)
    ball = np.empty_like(part.rgb)
    light = 0.35 * shot.light.ambient[1] + 0.65 * part.light
    for channel in range(3):
        shade = white[channel] + ring * (iris[channel] - white[channel])
        shade = shade + pupil * (0.006 - shade)
        ball[channel] = shade * round_shade * light[channel]
    ball += _catch_light(part, shot, lids, du, dv)
    return ball


def _iris(part: Canvas, eyes: Eyes, du: Field, dv: Field, r: Field, shot: Shot) -> Field:
    angle = np.arctan2(dv, du)
    fibres = part.noise("strands", angle * 2.2, r * 1.5, 22.0)
    near = r * (1.0 / IRIS)
    collar = smoothstep(near, 0.75, 0.42)
    limbus = 1.0 - 0.72 * smoothstep(near, 0.78, 1.02)
    lx, ly, _ = shot.light.direction
    caustic = 1.0 + 0.5 * np.clip(-(du * lx + dv * ly) * (1.6 / IRIS), -0.6, 1.0)
    tone = np.clip(1.0 + 0.22 * fibres, 0.4, 1.7) * limbus * caustic
    return np.stack(
        [tone * (eyes.iris[i] + collar * (eyes.inner_iris[i] - eyes.iris[i])) for i in range(3)]
    )


def _catch_light(part: Canvas, shot: Shot, lids: _Lids, du: Field, dv: Field) -> Field:
    """Reflections of the lamp and, faintly, of the surroundings; screen-fixed, not mirrored."""
    lx, ly, _ = shot.light.direction
    across = np.where(part.x < 0, -du, du)
    hx, hy = 0.42 * lx * 0.8, 0.42 * ly * 0.8
    size = 0.075 + 0.07 * shot.light.softness
    spot = part.edge(size - np.sqrt((across - hx) ** 2 + (dv - hy) ** 2), 0.06)
    strength = 0.55 + 1.2 * (1.0 - shot.light.softness)
    wet = np.exp(-(((lids.lower - lids.v - 0.05) * (1.0 / 0.04)) ** 2)) * 0.07
    sky = 0.03 * smoothstep(dv, 0.0, -0.45)
    return strength * spot * shot.light.key[1] + wet + sky


def _lashes(part: Canvas, person: Person, lids: _Lids) -> None:
    eyes = person.eyes
    width = 0.05 + 0.05 * eyes.liner + 0.02 * (1 - person.masculinity)
    above = lids.upper - lids.v
    fade = smoothstep(np.abs(lids.t), 1.12, 0.92)
    outer = 1.0 + 0.5 * np.clip(lids.t, 0.0, 1.0)
    line = np.exp(-(((above - 0.02) / (width * outer)) ** 2)) * fade
    dark = (0.035, 0.022, 0.018)
    part.paint(dark, np.minimum((0.75 + 0.25 * eyes.liner) * line, 1.0))
    reach = (0.16 + 0.16 * eyes.liner) * outer
    fan = lids.u - 0.7 * lids.t * above
    hairs = np.clip(0.35 + 0.6 * part.noise("stubble", fan, 0.15 * above, 22.0), 0.0, 1.0)
    fringe = smoothstep(above, -0.02, 0.03) * smoothstep(above, reach.max(), 0.02) * fade
    part.paint(dark, 0.7 * fringe * hairs * (0.45 + 0.55 * eyes.liner))
    below = lids.v - lids.lower
    low = np.exp(-(((below - 0.07) * (1.0 / 0.06)) ** 2)) * fade * (0.4 + 0.6 * (lids.t > 0))
    part.paint(dark, (0.18 + 0.25 * eyes.liner) * low)


def paint_brows(canvas: Canvas, person: Person, shot: Shot) -> None:
    """Paint bands of short hairs that turn from upright to lying outwards."""
    brows = person.brows
    part = canvas.window(-7.2, -4.4, 7.2, -0.4)
    if part is None:
        return
    ax = np.abs(part.x)
    height = brows.height - 0.45 * shot.expression.brow_raise
    p = (ax - 1.05) * (1.0 / brows.length)
    peak = np.clip(p, 0.0, 1.3)
    line = height - brows.arch * 2.6 * peak * (1.25 - peak) * peak - brows.slope * (peak - 0.4)
    line = line + 0.55 * np.maximum(peak - 0.62, 0.0) ** 1.5
    across = part.y - line
    band = brows.thickness * smoothstep(p, -0.12, 0.12) * (1.0 - 0.72 * np.clip(p, 0, 1) ** 1.6)
    ends = smoothstep(p, -0.1, 0.1) * smoothstep(p, 1.08, 0.85)
    hold = np.maximum(1.0 - (across / np.maximum(band, 0.05)) ** 2, -1.5)
    lean = ax + (0.9 + 1.8 * np.clip(p, 0, 1)) * across
    hairs = part.noise("stubble", lean, 0.35 * part.y + 0.3 * part.x, 20.0)
    alpha = smoothstep(hold + 0.3 * hairs, -0.35, 0.95) * ends * 0.95 * min(brows.density, 1.0)
    soft = 0.4 + 0.25 * person.hair.grey
    red, green, blue = (soft * c + 0.012 for c in person.hair.colour)
    tone = np.clip(1.0 + 0.25 * hairs, 0.4, 1.6)
    part.paint(tinted((red, green, blue), tone), alpha)
