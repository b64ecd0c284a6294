"""Videos that tests make, and what is in a video that was written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

from sparnet.inference.video import probing, reading
from sparnet.inference.video.reading import Frame

FACE = (224.0, 115.0)
"""The middle of the astronaut's face in her photograph."""


def ffmpeg(*arguments: object, data: bytes | None = None) -> bytes:
    """What ffmpeg writes to standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE).stdout


def make(
    path: Path,
    frames: Iterable[np.ndarray],
    *options: object,
    inputs: Sequence[object] = (),
    rate: object = 25,
) -> Path:
    """A video of these frames, encoded so well that hardly anything is lost."""
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate]
    encoded = ["-c:v", "libx264", "-crf", 4, "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    data = b"".join(np.ascontiguousarray(picture).tobytes() for picture in pictures)
    ffmpeg(*raw, "-i", "pipe:0", *inputs, *encoded, *options, path, data=data)
    return path


def sine(seconds: float, hertz: int = 440) -> list[object]:
    """An input: a tone."""
    return ["-f", "lavfi", "-i", f"sine={hertz}:d={seconds}"]


def read(path: Path) -> list[Frame]:
    return list(reading.frames(probing.probe(path)))


def sound(path: Path, number: int = 0) -> np.ndarray:
    """The samples of a mono stream."""
    raw = ["-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    return np.frombuffer(ffmpeg("-i", path, "-map", f"0:a:{number}", *raw), np.int16)


def placed(
    photo: np.ndarray, centre: tuple[float, float], scale: float, degrees: float, side: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """The astronaut with her face at `centre` of side x side pixels, scaled and turned, and the
    2x3 matrix that takes coordinates of her photograph there."""
    matrix = cv2.getRotationMatrix2D(FACE, degrees, scale)
    matrix[:, 2] += np.array(centre) - FACE
    return (
        cv2.warpAffine(photo, matrix, (side, side), borderMode=cv2.BORDER_REFLECT),
        matrix,
    )


def swaying(photo: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """She moves, comes nearer and tilts her head, once in 48 frames."""
    frames = []
    for angle in 2 * np.pi * np.arange(count) / 48:
        centre = 128 + 25 * np.sin(angle), 128 + 12 * np.cos(2 * angle)
        scale, degrees = 0.9 + 0.2 * np.sin(angle), 15 * np.sin(2 * angle)
        frames.append(placed(photo, centre, scale, degrees))
    return frames


def noisy(picture: np.ndarray, seed: int, sigma: float = 10) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
