"""From linear light to the bytes of a photograph."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sparnet.data.renderer.frame import Field
from sparnet.data.renderer.shot import Camera
from sparnet.data.renderer.textures import sample

_STEPS = 2048
_BRIGHTEST = 4.0


def develop(
    linear: Field, camera: Camera, gain: float, size: int, offset: tuple[float, float]
) -> NDArray[np.uint8]:
    """Expose linear light (3, H, W), with all that a camera adds, to uint8 (size, size, 3)."""
    side, spread = linear.shape[-1], camera.blur * linear.shape[-1]
    falloff = _vignette(size, camera.vignette)
    planes = []
    for plane, balance in zip(linear, camera.balance, strict=True):
        if spread > 0.15:
            plane = cv2.GaussianBlur(plane, (0, 0), spread)
        if side != size:
            plane = cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA)
        planes.append(_tone(plane * (falloff * (gain * balance)), camera.contrast))
    red, green, blue = planes
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    grain = _grain(size, camera.grain, luma, offset)
    base = (255.0 * (1.0 - camera.saturation)) * luma + 255.0 * grain
    coded = (cv2.addWeighted(p, 255.0 * camera.saturation, base, 1.0, 0.0) for p in planes)
    red, green, blue = (cv2.convertScaleAbs(np.maximum(plane, 0.0)) for plane in coded)
    return _compressed(cv2.merge((blue, green, red)), camera.quality)


def _vignette(size: int, strength: float) -> Field:
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) ** 2
    return 1.0 - strength * (line[:, None] + line[None, :])


@lru_cache(maxsize=64)
def _curve(contrast: float) -> Field:
    """The film curve as a table over the square root of linear light."""
    light = (np.arange(_STEPS + 1) / _STEPS) ** 2 * _BRIGHTEST
    shoulder = light * (1.0 + light / 6.0) / (1.0 + 0.62 * light)
    display = np.where(
        shoulder <= 0.0031308, 12.92 * shoulder, 1.055 * shoulder ** (1 / 2.4) - 0.055
    )
    middle = 0.45
    bent = middle + (display - middle) * contrast
    return np.clip(bent, 0.0, 1.0).astype(np.float32)


def _tone(plane: Field, contrast: float) -> Field:
    np.clip(plane, 0.0, _BRIGHTEST, out=plane)
    np.sqrt(plane, out=plane)
    plane *= _STEPS / _BRIGHTEST**0.5
    plane += 0.5
    return _curve(contrast).take(plane.astype(np.int32))


def _grain(size: int, strength: float, luma: Field, offset: tuple[float, float]) -> Field:
    texels = 512.0 / size
    line = (np.arange(size, dtype=np.float32) + 0.5) * texels - 0.5
    u, v = np.meshgrid(line + offset[0], line + offset[1])
    return strength * sample("grain", u, v, texels) * (1.3 - 0.6 * luma)


def _compressed(bgr: Field, quality: int) -> NDArray[np.uint8]:
    """A round trip through JPEG, as RGB; quality 0 leaves the picture as it is."""
    if quality:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        bgr = decoded
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
