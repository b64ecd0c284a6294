"""Hair in the picture: a shell around the skull, opened for the face, covered with strands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sparnet.data.renderer.canvas import Canvas, region
from sparnet.data.renderer.frame import Field, bump, resized, smoothstep
from sparnet.data.renderer.hair import Hair
from sparnet.data.renderer.lighting import Layer
from sparnet.data.renderer.outline import Outline
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.textures import sample

LONG = 20.0
_CROPPED = 0.35


@lru_cache(maxsize=256)
def hair_shell(person: Person) -> Outline:
    """The hair's outer surface."""
    skull, hair = person.skull, person.hair
    top = skull.crown - hair.top
    side, fall = hair.side, hair.length
    cranium, cheek = skull.cranium, skull.cheek
    if fall > LONG:
        below = [
            (6.0, cranium + 1.1 * side),
            (13.0, cranium + 1.25 * side + 0.4),
            (24.0, cranium + 2.5),
        ]
    elif fall > 6.0:
        below = [(5.0, cranium + 1.1 * side), (9.0, cheek + side), (24.0, cheek)]
    else:
        below = [(2.5, cheek + 0.9 * side), (7.0, cheek - 0.3), (24.0, cheek - 2.0)]
    shoulder = 0.35 * side + 0.25 * hair.top
    widths = [
        (top - 3.0, -5.0),
        (top, 0.0),
        (top + 1.0, 0.52 * cranium + 0.5 * side),
        (top + 3.2, 0.84 * cranium + 0.8 * side),
        (skull.crown + 5.8, cranium + side + 0.1 * shoulder),
        (-1.5, cranium + side),
        *below,
    ]
    front = 0.35 + 0.5 * hair.top
    depths = [
        (top - 3.0, -6.0),
        (top, 0.0),
        (top + 1.0, 5.0),
        (skull.crown + 3.0, 7.9 + skull.forehead + front),
        (-5.0, 9.15 + 0.6 * skull.forehead + 0.6 * front),
        (-1.0, 9.5 + 0.3 * front),
        (6.0, 8.8),
        (24.0, 8.0),
    ]
    return Outline(widths, depths)


def inside_hair(person: Person, x: Field, y: Field) -> Field:
    """Signed distance (cm) to the line where the hair gives way to the face, positive in hair."""
    hair = person.hair
    aw = np.abs(x) * (1.0 / person.skull.cranium)
    temple = (aw - 0.5) * (1.0 / 0.18)
    top = hair.hairline - hair.recession * np.exp(-temple * temple)
    if hair.fringe:
        swept = (
            1.0 if hair.fringe > 2.6 else 0.6 + 0.4 * np.tanh(-x * math.copysign(0.5, hair.part))
        )
        top = top + hair.fringe * swept
    rise = np.maximum(2.5 - y, 0.0) / (2.5 - top)
    # The free face is a superellipse above eye level and a gap of even width below.
    across = aw * (1.0 / hair.opening)
    oval = across * across * np.sqrt(across) + rise * rise * np.sqrt(rise)
    margin = np.clip((oval - 1.0) * 2.8, -3.0, 4.0)
    return margin if hair.length > LONG else np.minimum(margin, hair.length - y)


@dataclass(frozen=True)
class Coat:
    """Hair over the picture, at the side of its layer.

    Signed distances (cm): `outline` to the shell's silhouette, `margin` to the face's line. Strand
    coordinates (cm): `across` the strands and `along` them; `bends` says how they wander.
    """

    outline: Field
    margin: Field
    across: Field
    along: Field
    bends: Field


def coat(person: Person, layer: Layer, offset: tuple[float, float]) -> Coat:
    """Comb the shell: arcs over the part (`sweep` 0), rays away from the face (1), or between."""
    hair, x, y = person.hair, layer.x, layer.y
    dx = x - hair.part
    rise = np.maximum(2.5 - y, 0.0) * 0.72
    rho = np.sqrt(dx * dx + rise * rise + 0.01)
    phi = 6.0 * np.arctan2(dx, rise + 0.05)
    c, s = math.cos(0.5 * math.pi * hair.sweep), math.sin(0.5 * math.pi * hair.sweep)
    bends = sample("cloud", x * 9.0 + offset[0], y * 9.0 + offset[1], 1.0)
    along = c * np.abs(phi) + s * rho + np.maximum(y - 2.5, 0.0)
    # Hair rises out of its parting before it falls to both sides.
    across = c * (rho - 0.9 * np.exp(np.abs(dx) * (-1.0 / 1.2))) + s * phi + 0.1 * bends
    across += (0.05 + hair.wave) * np.sin(along * 1.3 + 1.2 * bends)
    return Coat(layer.inside, inside_hair(person, x, y), across, along, bends)


def paint_back(rgb: Field, person: Person, layer: Layer) -> None:
    """The dark hair behind face and neck, in a picture (3, H, W)."""
    hair, side = person.hair, rgb.shape[-1]
    if hair.top < _CROPPED:
        return
    strands = sample("strands", layer.x * 12.0, layer.y * 5.0, 1.8)
    alpha = smoothstep(layer.inside, -0.2, 0.1)
    if hair.length <= LONG:
        alpha *= smoothstep(layer.y + 0.5 * strands, hair.length + 0.6, hair.length - 0.6)
    tone = 0.32 + 0.08 * strands
    alpha = resized(alpha, side)
    for channel in range(3):
        change = resized(hair.colour[channel] * layer.irradiance[channel] * tone, side)
        change -= rgb[channel]
        change *= alpha
        rgb[channel] += change


def paint_hair(canvas: Canvas, person: Person, coat: Coat) -> None:
    """The hair in front, strand by strand."""
    hair, side = person.hair, canvas.rgb.shape[-1]
    here = region((coat.outline > -0.8) & (coat.margin > -1.0), side)
    if here is None:
        return
    canvas = canvas.part(*here)
    outline, margin, across, along, bends = (
        resized(field, side)[here]
        for field in (coat.outline, coat.margin, coat.across, coat.along, coat.bends)
    )
    fine = canvas.noise("strands", across, 0.3 * along, 34.0)
    locks = canvas.noise("strands", across + 0.12 * bends, 0.7 * along, 11.0)
    if hair.curl:
        curls = canvas.noise("curls", canvas.x + 0.3 * bends, canvas.y - 0.3 * bends, 17.0)
        locks = locks + hair.curl * (curls - locks)
        fine = (1.0 - 0.7 * hair.curl) * fine
    outline = outline + 0.2 * (hair.top >= _CROPPED) + 0.3 * min(hair.side, 1.0) * bends
    alpha = _cover(hair, outline, margin, 0.9 * fine + 0.35 * locks)
    root = 0.62 + 0.38 * smoothstep(margin, 0.0, 1.4)
    tone = np.clip(1.0 + 0.14 * fine + (0.13 + 0.2 * hair.curl) * locks, 0.2, 2.4) * root
    if hair.sweep < 0.5:
        tone *= 1.0 - 0.5 * bump(canvas.x, canvas.y, hair.part, -14.0, 0.14, 6.0)
    shine = canvas.gloss * np.clip(0.7 + 0.3 * fine + 0.3 * locks, 0.0, 3.0) * (hair.gloss * root)
    for channel in range(3):
        base = hair.colour[channel]
        change = canvas.light[channel] * (base * tone)
        change += (0.04 + 0.55 * base) * shine
        change -= canvas.rgb[channel]
        change *= alpha
        canvas.rgb[channel] += change


def _cover(hair: Hair, outline: Field, margin: Field, noise: Field) -> Field:
    """How much of what is behind the hair hides (0..1), ragged where it ends."""
    wisp = 0.12 + 0.1 * hair.wave + 0.25 * hair.curl
    outer = smoothstep(outline + wisp * noise, -0.12 - 0.5 * wisp, 0.3 + wisp)
    ragged = 0.16 + 0.12 * hair.fringe - 0.08 * hair.curl
    soft = 0.55 + 0.5 * hair.sweep + 0.8 * (hair.top < 0.5)
    inner = smoothstep(margin + ragged * noise, -0.25, soft)
    return outer * inner * ((0.9 if hair.top < _CROPPED else 1.0) * min(hair.density + 0.2, 1.0))
