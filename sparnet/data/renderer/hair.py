"""Hair: its style as drawn for a person."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from sparnet.data.renderer.colour import Colour
from sparnet.data.renderer.draws import Draw


@dataclass(frozen=True)
class Hair:
    """Style in numbers; lengths in cm.

    `hairline` is the height of the middle of the hairline, `recession` how far it retreats at the
    temples, `length` how far down the sides reach, `opening` the half-angle (as a sine) that long
    hair leaves free, `sweep` the flow: 0 falls from the part to both sides, 1 goes straight back.
    """

    colour: Colour
    grey: float
    top: float
    side: float
    hairline: float
    recession: float
    length: float
    opening: float
    part: float
    sweep: float
    fringe: float
    wave: float
    curl: float
    density: float
    gloss: float


@dataclass(frozen=True)
class _Style:
    top: float
    side: float
    length: float
    sweep: float
    fringe: float
    weight_man: float
    weight_woman: float


_STYLES = (
    _Style(0.25, 0.1, 1.0, 0.9, 0.0, 2.0, 0.1),
    _Style(1.0, 0.35, 1.5, 0.85, 0.0, 2.5, 0.3),
    _Style(1.5, 0.6, 2.0, 0.25, 0.5, 2.5, 0.6),
    _Style(1.1, 0.5, 1.5, 0.75, 1.8, 1.5, 0.6),
    _Style(0.7, 0.3, 2.0, 1.0, 0.0, 0.8, 2.0),
    _Style(1.3, 1.3, 9.0, 0.1, 0.3, 0.3, 2.0),
    _Style(1.3, 1.5, 30.0, 0.0, 0.0, 0.3, 3.5),
    _Style(1.4, 1.5, 30.0, 0.1, 3.4, 0.05, 1.6),
    _Style(1.6, 2.0, 30.0, 0.2, 0.6, 0.2, 2.5),
)

_COLOURS: tuple[tuple[float, Colour], ...] = (
    (0.0, (0.42, 0.29, 0.15)),
    (0.25, (0.24, 0.14, 0.065)),
    (0.5, (0.10, 0.055, 0.028)),
    (0.75, (0.036, 0.021, 0.014)),
    (1.0, (0.013, 0.010, 0.009)),
)


def draw_hair(draw: Draw, masculinity: float, age: float, dark: float, curl: float) -> Hair:
    """Hair fitting sex and age, and how dark and curly (0..1) it tends to be."""
    man = masculinity > 0.5
    darkness = min(max(draw.normal(dark, 0.28 if dark < 0.8 else 0.1), 0.0), 1.0)
    grey = min(max(draw.normal((age - 42.0) / 30.0, 0.2), 0.0), 1.0)
    bald = man and draw.chance(0.012 * max(age - 25.0, 0.0))
    weights = [s.weight_man if man else s.weight_woman for s in _STYLES]
    style = _STYLES[0] if bald else draw.pick(_STYLES, weights)
    curly = draw.chance(0.05 + 0.9 * max(curl - 0.35, 0.0))
    hairline = draw.normal(-6.15 - 0.2 * man, 0.4)
    recession = max(draw.normal(0.7 * man + 0.02 * (age - 20.0) * man, 0.5), 0.0)
    top = 0.25 + style.top * draw.uniform(0.8, 1.4) + 1.0 * curly * (style.top > 0.5)
    long = style.length > 20.0
    return Hair(
        colour=_mixed_colour(draw, darkness, 0.0 if draw.chance(0.4) else grey),
        grey=grey,
        top=0.15 if bald else top,
        side=style.side * draw.uniform(0.7, 1.3) + 0.9 * curly * (style.side > 0.4),
        hairline=-10.0 + draw.uniform(-0.6, 1.2) if bald else hairline,
        recession=0.0 if bald else recession,
        length=style.length + draw.uniform(-0.5, 0.8),
        opening=draw.uniform(0.82, 0.95) if long else draw.uniform(0.86, 0.95),
        part=draw.pick((-1.0, 1.0)) * draw.uniform(0.0, 3.4),
        sweep=min(max(draw.normal(style.sweep, 0.12), 0.0), 1.0),
        fringe=0.0 if bald else style.fringe * draw.uniform(0.75, 1.1),
        wave=draw.uniform(0.0, 0.35) if draw.chance(0.4) else draw.uniform(0.0, 0.1),
        curl=draw.uniform(0.6, 1.0) if curly else 0.0,
        density=draw.uniform(0.75, 1.0) - 0.25 * bald,
        gloss=draw.uniform(0.4, 1.0) * (0.4 if curly else 1.0),
    )


def _mixed_colour(draw: Draw, darkness: float, grey: float) -> Colour:
    red = max(draw.normal(0.0, 0.22), 0.0) if darkness < 0.7 else 0.0
    colour = _COLOURS[-1][1]
    for (low, a), (high, b) in pairwise(_COLOURS):
        if darkness <= high:
            w = (darkness - low) / (high - low)
            colour = (a[0] + w * (b[0] - a[0]), a[1] + w * (b[1] - a[1]), a[2] + w * (b[2] - a[2]))
            break
    silver = 0.24
    return (
        colour[0] * (1 + red) * (1 - grey) + silver * grey,
        colour[1] * (1 - 0.1 * red) * (1 - grey) + silver * 0.98 * grey,
        colour[2] * (1 - 0.4 * red) * (1 - grey) + silver * 0.95 * grey,
    )
