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
    picture = np.stack(
        [plane * (gain * b) for plane, b in zip(linear, camera.balance, strict=True)], axis=2
    )
    if camera.blur * picture.shape[0] > 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur * picture.shape[0])
    if picture.shape[0] != size:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    picture *= _vignette(size, camera.vignette)
    picture = _tone(picture, camera.contrast)
    luma = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    picture = luma[..., None] + camera.saturation * (picture - luma[..., None])
    picture += _grain(size, camera.grain, luma, offset)[..., None]
    coded = np.clip(picture * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return _compressed(coded, camera.quality)


def _vignette(size: int, strength: float) -> Field:
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) ** 2
    return (1.0 - strength * (line[:, None] + line[None, :]))[..., None]


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


def _tone(picture: Field, contrast: float) -> Field:
    root = np.sqrt(np.clip(picture, 0.0, _BRIGHTEST)) * (_STEPS / _BRIGHTEST**0.5)
    return _curve(contrast).take((root + 0.5).astype(np.int32))


def _grain(size: int, strength: float, luma: Field, offset: tuple[float, float]) -> Field:
    texels = 512.0 / size
    line = (np.arange(size, dtype=np.float32) + 0.5) * texels - 0.5
    u, v = np.meshgrid(line + offset[0], line + offset[1])
    return strength * sample("grain", u, v, texels) * (1.3 - 0.6 * luma)


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """A round trip through JPEG; quality 0 leaves the picture as it is."""
    if not quality:
        return picture
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)
