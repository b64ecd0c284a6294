"""Light on a surface given by its depth: normals, occlusion, soft shadows, irradiance, gloss."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sparnet.data.renderer.frame import Field, resized
from sparnet.data.renderer.shot import Light

FAR = -30.0


@dataclass(frozen=True)
class Layer:
    """A lit surface over the picture: head coordinates, signed outline (cm) and light."""

    x: Field
    y: Field
    inside: Field
    irradiance: Field
    gloss: Field


def normals(depth: Field, pixel: float) -> Field:
    """Unit normals (3, H, W) in picture axes of a depth map (cm; `pixel` cm a pixel)."""
    gx = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125 / pixel)
    gy = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125 / pixel)
    length = 1.0 / np.sqrt(gx * gx + gy * gy + 1.0)
    return np.stack([-gx * length, -gy * length, length])


def shadow(depth: Field, light: Light, pixel: float) -> Field:
    """How much of the key light arrives (0..1), by a march over the depth map at half its side."""
    half = cv2.resize(depth, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    lx, ly, lz = light.direction
    blocked = np.zeros_like(half)
    for reach in (0.35, 0.7, 1.2, 1.8, 2.6, 3.6, 5.0, 7.0):
        move = np.array([[1, 0, lx * reach / (2 * pixel)], [0, 1, ly * reach / (2 * pixel)]])
        ahead = cv2.warpAffine(
            half,
            move.astype(np.float32),
            half.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=FAR,
        )
        rise = (ahead - half - reach * lz) / (reach * (0.22 + 0.5 * light.softness))
        np.maximum(blocked, np.clip(rise, 0.0, 1.0), out=blocked)
    blur = (0.15 + 0.45 * light.softness) / (2 * pixel)
    soft = cv2.GaussianBlur(blocked, (0, 0), blur)
    strength = 0.95 - 0.4 * light.softness
    full = cv2.resize(1.0 - strength * soft, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(full, 0.0, 1.0)


def openness(depth: Field, pixel: float) -> Field:
    """How much of the surroundings a point sees (0..1): low in hollows and creases."""
    side = depth.shape[0]
    closed = np.zeros_like(depth)
    for radius, weight, shrink in ((0.4, 0.5, 1), (1.1, 0.38, 2), (2.6, 0.18, 4)):
        small = resized(depth, side // shrink)
        around = resized(cv2.GaussianBlur(small, (0, 0), radius / (pixel * shrink)), side)
        closed += weight * np.clip((around - depth) * (1.0 / radius), -0.2, 0.8)
    return np.clip(1.0 - closed, 0.3, 1.12)


def shade(normal: Field, arrives: Field, open_sky: Field, light: Light, scatter: float) -> Field:
    """Irradiance (3, H, W); `scatter` (0..1) lets red bleed past the terminator as in skin."""
    lx, ly, lz = light.direction
    facing = normal[0] * lx + normal[1] * ly + normal[2] * lz
    sky = 0.5 - 0.5 * normal[1]
    grazing = np.clip(1.0 - normal[2], 0.0, 1.0)
    rim = light.rim * grazing * grazing * grazing
    irradiance = np.empty_like(normal)
    for channel, (bleed, tint) in enumerate(((0.27, 0.92), (0.17, 1.0), (0.12, 1.04))):
        wrap = scatter * bleed
        direct = np.maximum(facing + wrap, 0.0) * (1.0 / (1.0 + wrap))
        direct *= 1.0 + tint * (arrives - 1.0)
        ambient = light.bounce[channel] + (light.ambient[channel] - light.bounce[channel]) * sky
        hollow = np.maximum(1.0 + tint * (open_sky - 1.0), 0.0)
        irradiance[channel] = light.key[channel] * direct + (ambient + rim) * hollow
    return irradiance


def skin_gloss(normal: Field, arrives: Field, light: Light, polish: float) -> Field:
    """A wide and a tight highlight, stronger at grazing angles."""
    hx, hy, hz = _halfway(light)
    mirror = np.maximum(normal[0] * hx + normal[1] * hy + normal[2] * hz, 0.0)
    grazing = np.clip(1.0 - normal[2], 0.0, 1.0)
    edge = 0.35 + 0.65 * grazing * grazing
    m2 = mirror * mirror
    m8 = (m2 * m2) ** 2
    wide, tight = m8, (m8 * m8) ** 2
    return (0.5 * wide + polish * tight) * edge * arrives * light.key[1]


def strand_gloss(normal: Field, arrives: Field, light: Light) -> Field:
    """The band of light across strands that run down a surface (Kajiya and Kay, 1989)."""
    hx, hy, hz = _halfway(light)
    mirror = normal[0] * hx + normal[1] * hy + normal[2] * hz
    down = np.maximum(1.0 - normal[1] * normal[1], 0.02)
    along = (hy - normal[1] * mirror) / np.sqrt(down)
    sine2 = np.maximum(1.0 - along * along, 0.0)
    sine8 = (sine2 * sine2) ** 2
    band = sine8 * sine8
    return (0.35 * sine8 + 1.1 * band * band) * np.clip(mirror, 0.0, 1.0) * arrives * light.key[1]


def _halfway(light: Light) -> tuple[float, float, float]:
    """The direction halfway between the light and the camera."""
    lx, ly, lz = light.direction
    half = np.array([lx, ly, lz + 1.0])
    hx, hy, hz = (float(v) for v in half / np.linalg.norm(half))
    return hx, hy, hz
