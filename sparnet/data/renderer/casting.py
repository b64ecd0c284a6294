"""Drawing people: looks that vary as widely as real ones, and go together as real ones do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from sparnet.data.renderer.colour import Colour, linear
from sparnet.data.renderer.draws import Draw
from sparnet.data.renderer.hair import draw_hair
from sparnet.data.renderer.person import (
    Beard,
    Brows,
    Eyes,
    Glasses,
    Mouth,
    Nose,
    Person,
    Skin,
    Skull,
)


@dataclass(frozen=True)
class Heritage:
    """Traits that come together in one region of the world; people are mixtures of these."""

    melanin: float
    nose_width: float
    nose_bridge: float
    lips: float
    crease: float
    tilt: float
    curl: float
    dark_hair: float
    cheek: float


HERITAGES = (
    Heritage(0.10, -0.2, 0.45, -0.25, 0.50, 0.02, 0.20, 0.30, -0.2),
    Heritage(0.28, 0.0, 0.50, 0.0, 0.55, 0.04, 0.35, 0.72, 0.0),
    Heritage(0.26, 0.12, -0.15, 0.0, 0.18, 0.11, 0.05, 1.0, 0.3),
    Heritage(0.52, 0.1, 0.30, 0.1, 0.50, 0.05, 0.30, 1.0, 0.0),
    Heritage(0.82, 0.55, -0.1, 0.55, 0.45, 0.06, 0.95, 1.0, 0.1),
)

SKIN_TONES: tuple[tuple[float, Colour], ...] = (
    (0.00, (240, 205, 187)),
    (0.25, (226, 181, 153)),
    (0.50, (196, 146, 115)),
    (0.75, (143, 97, 71)),
    (1.00, (88, 58, 44)),
)

IRISES: tuple[tuple[Colour, Colour], ...] = (
    ((66, 38, 22), (82, 48, 26)),
    ((98, 62, 34), (124, 80, 42)),
    ((112, 96, 56), (142, 104, 50)),
    ((92, 112, 84), (136, 118, 66)),
    ((104, 134, 158), (146, 160, 162)),
    ((74, 108, 146), (128, 148, 164)),
    ((126, 138, 146), (150, 154, 146)),
)


@lru_cache(maxsize=256)
def person(seed: int, person_index: int) -> Person:
    """The looks of person `person_index` in the world `seed`."""
    draw = Draw(seed, person_index, "person")
    man = draw.chance(0.5)
    masculinity = min(max(draw.normal(0.85 if man else 0.14, 0.10), 0.0), 1.0)
    age = 19.0 + 60.0 * draw.uniform(0.0, 1.0) ** 1.5
    heritage = _mix(draw.mixture(len(HERITAGES), 0.22))
    skin = _draw_skin(draw, age, heritage)
    hair = draw_hair(draw, masculinity, age, heritage.dark_hair, heritage.curl)
    return Person(
        id=f"p{person_index:05d}",
        masculinity=masculinity,
        age=age,
        skull=_draw_skull(draw, masculinity, heritage),
        nose=_draw_nose(draw, masculinity, heritage),
        eyes=_draw_eyes(draw, masculinity, age, heritage),
        brows=_draw_brows(draw, masculinity),
        mouth=_draw_mouth(draw, masculinity, age, heritage, skin),
        skin=skin,
        hair=hair,
        beard=_draw_beard(draw, masculinity, heritage),
        glasses=_draw_glasses(draw) if draw.chance(0.10 + 0.003 * (age - 19.0)) else None,
    )


def _mix(weights: list[float]) -> Heritage:
    names = Heritage.__dataclass_fields__
    return Heritage(
        **{
            name: sum(w * getattr(h, name) for w, h in zip(weights, HERITAGES, strict=True))
            for name in names
        }
    )


def _draw_skull(draw: Draw, masculinity: float, heritage: Heritage) -> Skull:
    m = masculinity - 0.5
    cheek = draw.normal(6.9 + 0.35 * m + 0.25 * heritage.cheek, 0.36)
    full = draw.normal(0.0, 1.0)
    return Skull(
        cheek=cheek + 0.12 * full,
        jaw=draw.normal(5.4 + 0.75 * m, 0.32) + 0.26 * full,
        chin_width=draw.normal(2.75 + 0.9 * m, 0.36) + 0.15 * full,
        chin=draw.normal(10.75 + 0.9 * m, 0.45),
        cranium=cheek + draw.normal(0.45, 0.22),
        crown=draw.normal(-10.7, 0.4),
        forehead=draw.normal(0.0, 0.35) - 0.5 * m,
        brow_ridge=draw.normal(0.18 + 0.5 * m, 0.14),
        cheekbone=draw.normal(0.42 - 0.2 * m, 0.18),
        chin_depth=draw.normal(0.55 + 0.35 * m, 0.3),
        socket=draw.normal(0.75 + 0.3 * m, 0.2) - 0.3 * (0.5 - heritage.crease),
        fullness=full,
        neck=draw.normal(4.75 + 1.3 * m, 0.3) + 0.2 * full,
        cleft=max(draw.normal(-0.1, 0.15), 0.0),
        ears=draw.normal(1.0, 0.12),
    )


def _draw_nose(draw: Draw, masculinity: float, heritage: Heritage) -> Nose:
    m = masculinity - 0.5
    return Nose(
        length=draw.normal(3.75 + 0.4 * m, 0.3),
        width=draw.normal(1.62 + 0.24 * m + 0.42 * heritage.nose_width, 0.14),
        bridge=draw.normal(0.62, 0.1) + 0.12 * heritage.nose_width,
        height=draw.normal(0.55 + 0.2 * m + 0.6 * heritage.nose_bridge, 0.16),
        hump=draw.normal(0.05 + 0.15 * m, 0.16),
        tip=draw.normal(0.62, 0.14) + 0.12 * heritage.nose_width,
        reach=draw.normal(1.78 + 0.3 * m, 0.15),
        upturn=draw.normal(0.0, 0.16) - 0.15 * m,
        bend=draw.normal(0.0, 0.035),
    )


def _draw_eyes(draw: Draw, masculinity: float, age: float, heritage: Heritage) -> Eyes:
    dark = heritage.dark_hair * 0.85 + 0.15 * (heritage.melanin > 0.3)
    weights = (0.5 + dark * 3, 1.0, *(max(0.0, 1.0 - dark) * w for w in (1.0, 1.2, 2, 2, 1)))
    iris, inner = draw.pick(IRISES, weights)
    tint = draw.uniform(0.8, 1.2)
    made_up = masculinity < 0.5 and draw.chance(0.6)
    return Eyes(
        spacing=draw.normal(3.15, 0.16),
        length=draw.normal(1.58 - 0.08 * masculinity, 0.09),
        upper=draw.normal(0.62 - 0.09 * masculinity, 0.06) - 0.0012 * (age - 30.0),
        lower=draw.normal(0.36, 0.05),
        tilt=draw.normal(heritage.tilt, 0.035) - 0.0008 * (age - 30.0),
        crease=max(draw.normal(heritage.crease - 0.1 * masculinity, 0.1), 0.06),
        iris=linear((iris[0] * tint, iris[1] * tint, iris[2] * tint)),
        inner_iris=linear(inner),
        bags=max(draw.normal(0.2 + 0.008 * (age - 19.0), 0.18), 0.0),
        liner=draw.uniform(0.4, 1.0) if made_up else 0.0,
        shadow=draw.uniform(0.0, 0.5) if made_up else 0.0,
    )


def _draw_brows(draw: Draw, masculinity: float) -> Brows:
    m = masculinity - 0.5
    return Brows(
        height=draw.normal(-2.15 + 0.4 * m, 0.2),
        length=draw.normal(4.0 + 0.4 * m, 0.3),
        thickness=draw.normal(0.44 + 0.2 * m, 0.085),
        arch=max(draw.normal(0.34 - 0.28 * m, 0.14), 0.0),
        slope=draw.normal(0.0, 0.12),
        density=min(draw.normal(0.8 + 0.2 * m, 0.16), 1.1),
    )


def _draw_mouth(
    draw: Draw, masculinity: float, age: float, heritage: Heritage, skin: Skin
) -> Mouth:
    m = masculinity - 0.5
    thin = 1.0 - 0.004 * (age - 30.0) - 0.15 * m + 0.6 * heritage.lips
    lipstick = draw.uniform(0.3, 0.9) if masculinity < 0.5 and draw.chance(0.4) else 0.0
    paint = linear(draw.pick(((170, 40, 50), (190, 80, 90), (140, 40, 60), (200, 100, 90))))
    natural = (
        skin.colour[0] * 0.88,
        skin.colour[1] * (0.58 - 0.02 * m),
        skin.colour[2] * (0.62 + 0.12 * skin.melanin),
    )
    bare, painted = 1.0 - lipstick, lipstick
    return Mouth(
        y=draw.normal(6.65 + 0.35 * m, 0.26),
        width=draw.normal(2.45 + 0.2 * m + 0.15 * heritage.lips, 0.18),
        upper=max(draw.normal(0.62, 0.13) * thin, 0.22),
        lower=max(draw.normal(0.88, 0.15) * thin, 0.35),
        bow=draw.normal(0.14, 0.05),
        curve=draw.normal(0.05, 0.08),
        lipstick=lipstick,
        lip_colour=(
            natural[0] * bare + paint[0] * painted,
            natural[1] * bare + paint[1] * painted,
            natural[2] * bare + paint[2] * painted,
        ),
    )


def _draw_skin(draw: Draw, age: float, heritage: Heritage) -> Skin:
    melanin = min(max(draw.normal(heritage.melanin, 0.07), 0.0), 1.0)
    tone = _tone(melanin)
    pink = draw.normal(0.0, 0.035)
    moles = tuple(
        (draw.normal(0.0, 4.0), draw.uniform(-6.0, 9.5), draw.uniform(0.07, 0.16))
        for _ in range(draw.pick((0, 0, 1, 2, 4)))
    )
    return Skin(
        melanin=melanin,
        colour=(tone[0] * (1 + 0.3 * pink), tone[1] * (1 - pink), tone[2] * (1 + pink)),
        redness=max(draw.normal(0.5 - 0.25 * melanin, 0.25), 0.05),
        blotches=max(draw.normal(0.5, 0.2), 0.1),
        freckles=draw.uniform(0.3, 1.0) if melanin < 0.2 and draw.chance(0.3) else 0.0,
        wrinkles=max(draw.normal((age - 28.0) / 45.0, 0.12), 0.02),
        oil=draw.uniform(0.2, 1.0),
        moles=moles,
    )


def _tone(melanin: float) -> Colour:
    for (low, dark), (high, light) in pairwise(SKIN_TONES):
        if melanin <= high:
            w = (melanin - low) / (high - low)
            a, b = linear(dark), linear(light)
            return a[0] + w * (b[0] - a[0]), a[1] + w * (b[1] - a[1]), a[2] + w * (b[2] - a[2])
    return linear(SKIN_TONES[-1][1])


def _draw_beard(draw: Draw, masculinity: float, heritage: Heritage) -> Beard:
    if masculinity < 0.5:
        return Beard("none", 0.0, 0.0)
    growth = 1.0 - 0.4 * (heritage.crease < 0.3)
    styles = ("none", "stubble", "full", "goatee", "moustache")
    style = draw.pick(styles, (0.45, 0.26 * growth, 0.18 * growth, 0.07, 0.04))
    return Beard(style, draw.uniform(0.55, 1.0), max(draw.normal(0.35, 0.2), 0.0) * growth)


def _draw_glasses(draw: Draw) -> Glasses:
    frames = ((18, 18, 20), (48, 30, 20), (120, 118, 116), (60, 20, 24), (30, 36, 60))
    return Glasses(
        width=draw.normal(2.55, 0.15),
        height=draw.normal(1.85, 0.25),
        squareness=draw.uniform(2.2, 5.0),
        thickness=draw.pick((0.07, 0.12, 0.2, 0.26)),
        colour=linear(draw.pick(frames)),
    )
