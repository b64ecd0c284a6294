"""What is behind the person, out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from sparnet.data.renderer.draws import Draw
from sparnet.data.renderer.frame import Field, resized
from sparnet.data.renderer.shot import Background
from sparnet.data.renderer.textures import sample

_SIDE = 64


def backdrop(background: Background, size: int) -> Field:
    """A blurred scene, linear (3, size, size); the same scene at every size."""
    line = (np.arange(_SIDE, dtype=np.float32) + 0.5) / _SIDE
    u, v = np.meshgrid(line, line)
    scene = _PAINTERS[background.kind](background, u, v).astype(np.float32)
    planes = [cv2.GaussianBlur(p, (0, 0), background.blur * _SIDE) for p in scene]
    return resized(np.stack(planes), size)


def _blend(a: tuple[float, ...], b: tuple[float, ...], weight: Field) -> Field:
    return np.stack([a[i] + (b[i] - a[i]) * weight for i in range(3)])


def _noise(background: Background, u: Field, v: Field, texels: float) -> Field:
    return sample("cloud", u * texels + background.seed, v * texels, 1.0)


def _plain(background: Background, u: Field, v: Field) -> Field:
    a, b, _ = background.colours
    tilt = (background.seed % 7.0) / 7.0
    weight = np.clip(tilt * u + (1 - tilt) * v + 0.05 * _noise(background, u, v, 90.0), 0, 1)
    return _blend(a, tuple(0.35 * x + 0.65 * y for x, y in zip(b, a, strict=True)), weight)


def _cloudy(background: Background, u: Field, v: Field) -> Field:
    a, b, _ = background.colours
    return _blend(a, b, np.clip(0.5 + 0.3 * _noise(background, u, v, 110.0), 0.0, 1.0))


def _bokeh(background: Background, u: Field, v: Field) -> Field:
    draw = Draw("bokeh", round(background.seed * 1e6))
    a, b, light = background.colours
    scene = _blend(a, b, np.clip(0.4 + 0.25 * _noise(background, u, v, 100.0), 0.0, 1.0)) * 0.6
    for _ in range(16):
        x, y, radius = draw.uniform(0, 1), draw.uniform(0, 1), draw.uniform(0.015, 0.06)
        disc = np.clip((radius - np.hypot(u - x, v - y)) * _SIDE + 0.5, 0, 1)
        strength = draw.uniform(0.1, 0.9)
        warm = draw.uniform(0.7, 1.3)
        scene += (
            disc * strength * np.array([light[0] * warm, light[1], light[2] / warm])[:, None, None]
        )
    return scene


def _room(background: Background, u: Field, v: Field) -> Field:
    draw = Draw("room", round(background.seed * 1e6))
    scene = _blend(background.colours[0], background.colours[0], u)
    for _ in range(9):
        colour = background.colours[draw.pick((0, 1, 1, 2))]
        level = draw.uniform(0.4, 1.3)
        x, w = draw.uniform(-0.2, 1.0), draw.uniform(0.05, 0.4)
        y, h = draw.uniform(-0.3, 0.8), draw.uniform(0.1, 0.9)
        inside = ((u > x) & (u < x + w) & (v > y) & (v < y + h)).astype(np.float32)
        for channel in range(3):
            scene[channel] += inside * (colour[channel] * level - scene[channel])
    return scene * (1.0 + 0.08 * _noise(background, u, v, 120.0))


def _foliage(background: Background, u: Field, v: Field) -> Field:
    a, b, light = background.colours
    leaves = _noise(background, u, v, 330.0) + 0.6 * _noise(background, v, u, 140.0)
    scene = _blend(b, a, np.clip(0.5 + 0.35 * leaves, 0.0, 1.3))
    spots = np.clip(_noise(background, v + 0.3, u, 420.0) - 1.2, 0.0, 1.0)
    return scene + spots * np.array(light, np.float32)[:, None, None] * 0.9


def _outdoors(background: Background, u: Field, v: Field) -> Field:
    """Sky over trees, or over a street."""
    sky, trees, street = background.colours
    line = 0.35 + 0.5 * ((background.seed % 5.0) / 5.0) + 0.06 * _noise(background, u, v, 160.0)
    leaves = 1.0 + 0.3 * _noise(background, v, u, 260.0)
    ground = trees if background.seed % 3.0 < 1.8 else street
    scene = _blend(sky, ground, np.clip((v - line) * 12.0 + 0.5, 0.0, 1.0))
    return scene * np.where(v > line, leaves, 1.0 - 0.25 * v)


_PAINTERS = {
    "plain": _plain,
    "cloudy": _cloudy,
    "bokeh": _bokeh,
    "room": _room,
    "foliage": _foliage,
    "outdoors": _outdoors,
}
