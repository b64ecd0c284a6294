"""Glasses and clothes."""

from __future__ import annotations

import numpy as np

from sparnet.data.renderer.canvas import Canvas, region
from sparnet.data.renderer.frame import Field, smoothstep
from sparnet.data.renderer.person import Glasses, Person
from sparnet.data.renderer.shot import Shot


def paint_glasses(canvas: Canvas, person: Person, glasses: Glasses, shot: Shot) -> None:
    """Frames over the eyes with a soft shadow and a faint reflection on the lenses."""
    part = canvas.window(-8.5, -2.8, 8.5, 3.4)
    if part is None:
        return
    shade = _frame_distance(person, glasses, part.x - 0.2 * shot.light.direction[0], part.y - 0.3)
    part.stain((0.72, 0.66, 0.64), 0.6 * np.exp(-((shade * (1.0 / 0.28)) ** 2)))
    distance = _frame_distance(person, glasses, part.x, part.y)
    lens = _lens(person, glasses, part.x, part.y)
    sweep = smoothstep(np.sin(part.x * 1.1 + part.y * 1.4 + shot.texture_x), 0.55, 0.95)
    part.glow(part.edge(-lens) * (0.008 + 0.035 * sweep) * shot.light.key[1])
    alpha = part.edge(glasses.thickness - np.abs(distance), 0.02)
    ridge = np.clip(1.0 - (distance / glasses.thickness) ** 2, 0.0, 1.0)
    part.paint(glasses.colour, alpha)
    part.glow(alpha * ridge**4 * 0.10 * np.clip(part.light[1], 0, 2))


def _lens(person: Person, glasses: Glasses, x: Field, y: Field) -> Field:
    """Signed distance (cm, about) to a lens's rim, negative inside."""
    u = (np.abs(x) - person.eyes.spacing) / glasses.width
    v = (y - 0.25) / glasses.height
    p = glasses.squareness
    reach = (np.abs(u) ** p + np.abs(v) ** p + 1e-6) ** (1.0 / p)
    return (reach - 1.0) * min(glasses.width, glasses.height)


def _frame_distance(person: Person, glasses: Glasses, x: Field, y: Field) -> Field:
    rim = _lens(person, glasses, x, y)
    ax = np.abs(x)
    inner = person.eyes.spacing - 0.93 * glasses.width
    bridge = np.maximum(np.abs(y + 0.25 + 0.12 * (inner - ax)), 3.0 * (ax - inner))
    outer = person.eyes.spacing + 0.97 * glasses.width
    arm = np.maximum(np.abs(y + 0.5), 3.0 * (outer - ax))
    return np.minimum(np.abs(rim), np.minimum(bridge, arm))


def paint_clothes(canvas: Canvas, person: Person, shot: Shot, x: Field, y: Field) -> None:
    """Shoulders and collar in camera-plane coordinates x, y (cm)."""
    # No collar opens higher than this.
    here = region(y > 11.5, y.shape[0])
    if here is None:
        return
    canvas, x, y = canvas.part(*here), x[here], y[here]
    ax = np.abs(x)
    neck = person.skull.neck
    shoulder = 14.2 + 0.32 * np.maximum(ax - neck, 0.0) + 0.02 * np.maximum(ax - neck, 0.0) ** 2
    opening = shot.collar - 0.14 * ax * ax * (1.0 if shot.collar > 16.0 else 0.45) * 0.35
    edge = np.maximum(shoulder, np.where(ax < neck + 0.4, opening, shoulder))
    alpha = canvas.edge(y - edge, 0.08)
    folds = canvas.noise("cloud", x, 0.4 * y, 16.0)
    weave = canvas.noise("grain", x, y, 20.0)
    tone = (0.72 + 0.1 * folds + 0.05 * weave) * (0.7 + 0.3 * smoothstep(y - edge, 0.0, 0.5))
    key, ambient = shot.light.key, shot.light.ambient
    for channel in range(3):
        change = (shot.cloth[channel] * (0.6 * key[channel] + ambient[channel])) * tone
        change -= canvas.rgb[channel]
        change *= alpha
        canvas.rgb[channel] += change
