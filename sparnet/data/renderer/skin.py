"""Skin: colour over the face, and its texture close up."""

from __future__ import annotations

import numpy as np

from sparnet.data.renderer.canvas import Canvas, tinted
from sparnet.data.renderer.frame import Field, bump, ridge, smoothstep
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.shot import Expression
from sparnet.data.renderer.textures import sample


def albedo(person: Person, x: Field, y: Field, offset: tuple[float, float]) -> Field:
    """The smooth part of the skin's colour, linear (3, H, W), at head coordinates."""
    skin = person.skin
    cloud = sample("cloud", x * 11.0 + offset[0], y * 11.0 + offset[1], 1.0)
    mottle = sample("cloud", x * 40.0 + offset[1], y * 40.0 + offset[0], 1.0)
    red = skin.redness * _flush(person, x, y) * (1.0 + 0.3 * cloud)
    red += 0.07 * skin.blotches * mottle
    dark = 1.0 - 0.16 * (0.4 + skin.melanin) * _sockets(person, x, y)
    dark *= 1.0 + 0.035 * skin.blotches * (cloud + 0.5 * mottle)
    shadow = beard_shadow(person, x, y)
    colour = np.empty((3, *x.shape), np.float32)
    fade = 1.0 - 0.45 * skin.melanin
    for channel, (blush, stubble) in enumerate(((-0.02, 0.20), (0.27, 0.17), (0.25, 0.10))):
        colour[channel] = skin.colour[channel] * dark * (1.0 - blush * fade * red)
        colour[channel] *= 1.0 - stubble * shadow
    return colour


def _flush(person: Person, x: Field, y: Field) -> Field:
    """Where blood shows: cheeks, nose, chin, ears."""
    ax = np.abs(x)
    red = 0.8 * bump(ax, y, 4.2, 3.2, 1.9, 1.7)
    red += 0.75 * bump(x, y, 0.0, person.nose.length + 0.1, 1.3, 0.95)
    red += 0.3 * bump(x, y, 0.0, person.skull.chin - 1.2, 1.6, 1.0)
    red += 0.8 * smoothstep(ax, 6.6, 7.6)
    return red + 0.1


def _sockets(person: Person, x: Field, y: Field) -> Field:
    """The thin, darker skin around the eyes."""
    ax, eyes = np.abs(x), person.eyes
    return bump(ax, y, eyes.spacing - 0.3, 0.1, 1.5, 0.95) + 0.6 * eyes.bags * bump(
        ax, y, eyes.spacing - 0.4, 0.95, 1.1, 0.4
    )


def beard_area(person: Person, x: Field, y: Field, style: str) -> Field:
    """Where a beard of this style grows (0..1)."""
    ax, mouth, chin = np.abs(x), person.mouth, person.skull.chin
    lip = smoothstep(y, person.nose.length + 1.0, person.nose.length + 1.7)
    moustache = lip * smoothstep(y, mouth.y + 0.5, mouth.y - 0.1)
    moustache *= smoothstep(ax + 0.4 * (mouth.y - y), mouth.width + 1.0, mouth.width - 0.5)
    if style == "moustache":
        return moustache
    if style == "goatee":
        tuft = smoothstep(y, mouth.y + 0.1, mouth.y + 0.7)
        tuft *= smoothstep(
            ax + 0.12 * np.maximum(y - mouth.y, 0.0), mouth.width + 0.8, mouth.width - 0.3
        )
        return np.maximum(moustache, tuft)
    line = person.nose.length + 1.25 + 0.12 * ax + 0.5 * ridge(ax, 3.5, 0.78)
    line -= 1.15 * np.maximum(ax - 3.7, 0.0)
    return smoothstep(y - line, -0.7, 0.9) * smoothstep(y, chin + 1.6, chin + 0.6)


def beard_shadow(person: Person, x: Field, y: Field) -> Field:
    """The grey of shaven hair under the skin."""
    if person.beard.shadow <= 0.0:
        return np.zeros_like(x)
    return person.beard.shadow * beard_area(person, x, y, "full")


def paint_spots(canvas: Canvas, person: Person) -> None:
    """Freckles and moles."""
    skin = person.skin
    x, y = canvas.x, canvas.y
    if skin.freckles:
        area = skin.freckles * bump(np.abs(x), y, 2.4, 2.2, 3.4, 2.4)
        spots = canvas.noise("spots", x, y, 34.0) + canvas.noise("spots", y, x, 26.0)
        canvas.stain((0.78, 0.62, 0.52), np.minimum(area * spots, 1.0))
    for mx, my, radius in skin.moles:
        part = canvas.window(mx - 0.5, my - 0.5, mx + 0.5, my + 0.5)
        if part:
            mole = bump(part.x, part.y, mx, my, radius, radius)
            part.stain((0.4, 0.28, 0.24), np.minimum(1.4 * mole, 1.0))


def paint_wrinkles(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Lines of age and of expression."""
    amount = person.skin.wrinkles
    brow = canvas.window(-4.5, -6.8, 4.5, -2.6)
    lines = amount + 0.8 * max(expression.brow_raise, 0.0)
    if brow and lines > 0.15:
        wander = 0.25 * brow.noise("cloud", brow.x, brow.y, 6.0)
        phase = (brow.y + wander + 0.02 * brow.x * brow.x) * (2 * np.pi / 0.95)
        line = np.clip(np.cos(phase), 0.0, 1.0) ** 6
        line *= bump(brow.x, brow.y, 0.0, -4.6, 3.2, 1.3)
        brow.stain((0.72, 0.66, 0.62), np.minimum(line * lines * 0.7, 1.0))
    _paint_crow_feet(canvas, person, amount * 0.8 + 0.5 * expression.smile * amount)


def _paint_crow_feet(canvas: Canvas, person: Person, amount: float) -> None:
    outer = person.eyes.spacing + person.eyes.length
    part = canvas.window(-outer - 1.9, -1.6, outer + 1.9, 1.6) if amount >= 0.1 else None
    if part is None:
        return
    u, v = np.abs(part.x) - (outer - 0.9), part.y - 0.05
    angle = np.arctan2(v, np.maximum(u, 0.05))
    rays = np.clip(np.cos(angle * 11.0 + 0.4 * part.noise("cloud", u, v, 20.0)), 0, 1) ** 5
    rays *= smoothstep(u, 0.9, 1.3) * smoothstep(u, 2.6, 1.5) * smoothstep(np.abs(angle), 0.9, 0.5)
    part.stain((0.74, 0.66, 0.62), np.minimum(amount * rays, 1.0))


def paint_beard(canvas: Canvas, person: Person) -> None:
    """Stubble or beard hair."""
    beard = person.beard
    if beard.style == "none":
        return
    part = canvas.window(-8.0, 0.0, 8.0, 16.0)
    if part is None:
        return
    stubble = beard.style == "stubble"
    area = beard_area(person, part.x, part.y, "full" if stubble else beard.style)
    hair = person.hair.colour
    warp = 0.35 * part.noise("cloud", part.x, part.y, 14.0)
    lean = part.x + warp + 0.25 * np.sign(part.x) * part.y
    fine = part.noise("stubble", lean, part.y, 26.0)
    if stubble:
        alpha = area * beard.density * np.clip(0.34 + 0.22 * fine, 0.0, 0.8)
        tone = np.ones_like(fine)
    else:
        locks = part.noise("strands", lean, 0.6 * part.y, 22.0)
        patchy = area * (0.75 + 0.5 * beard.density) + 0.13 * fine - 0.1
        alpha = smoothstep(patchy, 0.05, 0.95) * (0.72 + 0.25 * beard.density)
        tone = np.clip(1.0 + 0.22 * locks + 0.25 * fine, 0.25, 2.0)
    part.paint(tinted(hair, 0.72 * tone), np.clip(alpha, 0.0, 0.97))
