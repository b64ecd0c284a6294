"""Videos: how far framing and restored faces flicker, by how they are framed, and frames a second.

One face, drawn once, is moved by known matrices and covered with fresh noise in every frame, so
that all that a framing changes from frame to frame, seen from the face, is its own doing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from sparnet import images, models
from sparnet.data.renderer import render
from sparnet.faces import alignment
from sparnet.faces.alignment import Matrix
from sparnet.faces.detection import Detector
from sparnet.images import Picture
from sparnet.inference import Restorer
from sparnet.inference.backends import TorchBackend
from sparnet.inference.finding import Finder
from sparnet.inference.video import restore
from sparnet.inference.video.steadying import steadied
from sparnet.inference.video.tracking import Points, Tracker

SIDE = 256
NOISE = 10.0
RATE = 25.0
_CORNERS = [(100, 100), (412, 100), (100, 412), (412, 412)]
_FACE_OF_CORNERS = 282 / 312

Motion = Callable[[float], tuple[float, float, float, float]]


def run(options: Options) -> None:
    count = 6 if options.quick else 48
    for name, motion in (("still", _still), ("swaying", _swaying)):
        clean, matrices = _clip(motion, count)
        frames = _noisy(clean)
        framings = _framings(frames)
        for how, points in {**framings, "as it is": _true(framings["steadied"], matrices)}.items():
            jitter, lag = _wandering(points, matrices)
            flicker = _flicker(clean, points, matrices)
            print(
                f"{name}, {how}: framing {jitter:.2f} % of the face a frame, {lag:.1f} % off at "
                f"most, restored face {flicker:.2f} levels a frame"
            )
    _pace(_clip(_swaying, count)[0], options)


def one_euro(points: Sequence[Points], least: float = 1.0, speed: float = 0.3) -> list[Points]:
    """The One Euro filter (Casiez et al., CHI 2012): it knows only what was, so it lags."""

    def weight(cutoff: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        return 1 / (1 + RATE / (2 * np.pi * cutoff))

    filtered, slope = [points[0]], np.zeros_like(points[0])
    for seen in points[1:]:
        slope = slope + weight(1.0) * ((seen - filtered[-1]) * RATE - slope)
        filtered.append(
            filtered[-1] + weight(least + speed * np.abs(slope)) * (seen - filtered[-1])
        )
    return filtered


def _framings(frames: list[Picture]) -> dict[str, list[Points]]:
    detector, tracker = Detector(), Tracker(Finder(Detector()))
    looks = [tracker.look(frame) for frame in frames]
    followed = [look.seen[0].points for look in looks]
    steady = steadied(zip(looks, looks, strict=True))
    return {
        "each by itself": [detector.detect(frame)[0].points for frame in frames],
        "followed": followed,
        "One Euro": one_euro(followed),
        "steadied": [item.faces[0].points for item in steady],
    }


def _true(points: list[Points], matrices: list[Matrix]) -> list[Points]:
    """One framing, moved as the face is: what nothing that looks at frames can do better than."""
    [first, *_] = (alignment.invert(matrix) for matrix in matrices)
    on_face = alignment.transform(points[0], first)
    return [alignment.transform(on_face, matrix) for matrix in matrices]


def _wandering(points: list[Points], matrices: list[Matrix]) -> tuple[float, float]:
    """Of the corners of the frame, seen from the face, in hundredths of its width: the mean change
    from frame to frame, the largest distance."""
    corners = []
    for seen, matrix in zip(points, matrices, strict=True):
        framing = alignment.similarity(seen, alignment.FFHQ_TEMPLATE)
        there = alignment.transform(_CORNERS, alignment.invert(framing))
        corners.append(alignment.transform(there, alignment.invert(matrix)))
    off = np.array(corners) - np.mean(corners, axis=0)
    off *= 100 / (np.ptp(corners[0][:, 0]) * _FACE_OF_CORNERS)
    jitter = np.linalg.norm(np.diff(off, axis=0), axis=2)
    return float(jitter.mean()), float(np.linalg.norm(off, axis=2).max())


def _flicker(clean: list[Picture], points: list[Points], matrices: list[Matrix]) -> float:
    """Mean absolute difference of the middle of restored faces, put where the first one is.

    They are restored without the noise, so that only the framing differs.
    """
    faces = []
    for frame, seen, matrix in zip(clean, points, matrices, strict=True):
        framing = alignment.similarity(seen, alignment.ffhq_template(128))
        face = alignment.crop(frame, framing, 128)
        pasted = alignment.paste_back(frame, [face], [_sharpened(face)], [framing])
        back = alignment.compose(matrices[0], alignment.invert(matrix))
        faces.append(alignment.crop(pasted, back, SIDE)[78:178, 78:178].astype(float))
    return float(np.abs(np.diff(faces, axis=0)).mean())


def _sharpened(face: Picture) -> Picture:
    return cv2.addWeighted(face, 3, cv2.GaussianBlur(face, (0, 0), 2), -2, 0).astype(np.uint8)


def _pace(frames: list[Picture], options: Options) -> None:
    names = ("sparnet-light-attn3d",) if options.quick else ("sparnet-light-attn3d", "sparnet")
    with tempfile.TemporaryDirectory() as folder:
        source = _written(Path(folder) / "in.mp4", frames)
        for name in names:
            backend = TorchBackend(models.create(name), str(options.device))
            restorer = Restorer(backend, Detector())
            start = time.perf_counter()
            restore(source, Path(folder) / "out.mp4", restorer)
            took = time.perf_counter() - start
            print(f"video of {SIDE}x{SIDE}, a face, {name}: {len(frames) / took:.1f} frames/s")


def _written(path: Path, frames: list[Picture]) -> Path:
    writer = imageio_ffmpeg.write_frames(str(path), (SIDE, SIDE), fps=RATE)
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
    return path


def _clip(motion: Motion, count: int) -> tuple[list[Picture], list[Matrix]]:
    photo = render(0, 1, 0, 512).image
    frames, matrices = [], []
    for angle in 2 * np.pi * np.arange(count) / 48:
        x, y, scale, degrees = motion(float(angle))
        matrix = cv2.getRotationMatrix2D((256, 256), degrees, scale)
        matrix[:, 2] += np.array([x, y]) - 256
        reduced = cv2.warpAffine(
            images.resize(photo, (SIDE, SIDE)),
            alignment.compose(np.asarray(matrix, float), np.array([[2, 0, 0.5], [0, 2, 0.5]])),
            (SIDE, SIDE),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        frames.append(reduced.astype(np.uint8))
        matrices.append(np.asarray(matrix, float))
    return frames, matrices


def _still(_: float) -> tuple[float, float, float, float]:
    return 128, 128, 0.5, 0


def _swaying(angle: float) -> tuple[float, float, float, float]:
    across, down = 20 * np.sin(angle), 10 * np.cos(2 * angle)
    return 128 + across, 128 + down, 0.5 + 0.1 * np.sin(angle), 15 * np.sin(2 * angle)


def _noisy(frames: list[Picture]) -> list[Picture]:
    draw = np.random.default_rng(0).normal
    noisy = [np.clip(frame + draw(0, NOISE, frame.shape), 0, 255) for frame in frames]
    return [frame.astype(np.uint8) for frame in noisy]
