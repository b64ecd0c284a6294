"""From a photograph to a framed face and back, with exact pixel-centre geometry.

Coordinates are (x, y) in pixels; the centre of the first pixel is (0, 0), so a picture of width w
spans -0.5 to w - 0.5, and enlarging it by s takes x to s * x + (s - 1) / 2. A matrix is a float64
2x3 similarity that takes coordinates of the photograph to those of the framed face.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from sparnet import images
from sparnet.images import Picture

Matrix = NDArray[np.float64]
Box = tuple[float, float, float, float]
Pixels = Picture | NDArray[np.float32]

FFHQ_SIZE = 512
FFHQ_TEMPLATE: NDArray[np.float64] = (
    np.array(
        [
            (686.77227723, 488.62376238),
            (586.77227723, 493.59405941),
            (337.91089109, 488.38613861),
            (437.95049505, 493.51485149),
            (513.58415842, 678.5049505),
        ]
    )
    / 2
)
"""Where dlib's five points (see `detection.POINT_NAMES`) lie in an FFHQ face of 512x512."""

FEATHER = 0.1
"""Width of the ramp at each edge of a pasted face, as a part of its side."""

_SAMPLED = 64
_CUBIC_SUPPORT = 2
_LANCZOS_SUPPORT = 4


def similarity(src: ArrayLike, dst: ArrayLike) -> Matrix:
    """The 2x3 rotation, scale and shift that best takes points `src` to `dst`, both (n, 2).

    Least squares in closed form, without reflection (Umeyama, IEEE TPAMI 1991). In the plane his
    solution is one complex division: points as complex numbers, the transform as z -> a * z + b.
    Raises ValueError where the points of `src` are all the same.
    """
    source, target = _complex(src), _complex(dst)
    centred = source - source.mean()
    spread = np.vdot(centred, centred).real
    if spread == 0:
        raise ValueError("a similarity needs at least two different points")
    a = np.vdot(centred, target - target.mean()) / spread
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def ffhq_template(size: int) -> NDArray[np.float64]:
    """FFHQ_TEMPLATE for faces of `size` pixels: what resizing the 512 pixels does to it. (5, 2)."""
    return (FFHQ_TEMPLATE + 0.5) * (size / FFHQ_SIZE) - 0.5


def transform(points: ArrayLike, matrix: Matrix) -> NDArray[np.float64]:
    """Points (n, 2) taken through `matrix`."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: Matrix) -> Matrix:
    """The matrix of the way back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def crop(image: Picture, matrix: Matrix, size: int) -> Picture:
    """The uint8 size x size face that `matrix` frames in `image`.

    Beyond the edge of the photograph its border pixels are repeated. Where the face gets smaller
    it is first reduced with Pillow's antialiased bicubic filter.
    """
    return _to_uint8(_warp(image, matrix, size, size))


def crop_square(
    image: Picture, box: Box, size: int, enlarge: float = 1.0
) -> tuple[Picture, Matrix]:
    """An upright square around `box`, resized to uint8 size x size, and its matrix.

    The square has `enlarge` times the longer side of the box and begins on whole pixels, so that
    its pixels are resized exactly as a cropped file would be (Pillow's bicubic). Beyond the edge
    of the photograph its border pixels are repeated.
    """
    x, y, side = _square(box, enlarge)
    height, width = image.shape[:2]
    rows = np.clip(np.arange(y, y + side), 0, height - 1)
    columns = np.clip(np.arange(x, x + side), 0, width - 1)
    picture = images.resize(image[np.ix_(rows, columns)], (size, size))
    return picture, square(box, size, enlarge)


def square(box: Box, size: int, enlarge: float = 1.0) -> Matrix:
    """The matrix of `crop_square`."""
    x, y, side = _square(box, enlarge)
    return resizing(x, y, size / side, size / side)


def fitted(box: Box, enlarge: float, width: int, height: int) -> Box:
    """The upright square of `enlarge` times the longer side of `box`, kept within the picture.

    What would reach beyond an edge of the width x height picture is moved inside; what is larger
    than the picture is as large as it can be. In whole pixels.
    """
    side = min(_square(box, enlarge)[2], width, height)
    centre_x, centre_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    x = min(max(0, round(centre_x - side / 2)), width - side)
    y = min(max(0, round(centre_y - side / 2)), height - side)
    return x, y, x + side, y + side


def outside(matrix: Matrix, size: int, width: int, height: int) -> float:
    """Share of the size x size face framed by `matrix` that lies outside of the picture."""
    steps = (np.arange(_SAMPLED) + 0.5) * (size / _SAMPLED) - 0.5
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    x, y = transform(points, invert(matrix)).T
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return 1 - float(inside.mean())


def _square(box: Box, enlarge: float) -> tuple[int, int, int]:
    """Left, top and side of the square around `box`, in whole pixels."""
    left, top, right, bottom = box
    side = max(1, round(enlarge * max(right - left, bottom - top)))
    return round((left + right - side) / 2), round((top + bottom - side) / 2), side


def paste_back(
    photo: Picture,
    framed: Sequence[Picture],
    restored: Sequence[Picture],
    matrices: Sequence[Matrix],
    upscale: int = 1,
) -> Picture:
    """`photo`, enlarged `upscale` times (bicubic), with each face as the restorer changed it.

    framed, restored: each face before and after, uint8 SxSx3; matrices: those that framed them.
    What is put into the photograph is the change from one to the other: where there is none, every
    pixel stays as it was, and detail finer than the S pixels of a face is not lost. The change
    fades in over FEATHER of the side. The smallest face is pasted first, so that a face in front
    covers those behind it. Returns uint8 HxWx3.
    """
    height, width = photo.shape[0] * upscale, photo.shape[1] * upscale
    canvas = photo.copy() if upscale == 1 else images.resize(photo, (width, height))
    enlarging = resizing(0, 0, upscale, upscale)
    changes = [
        _Change(canvas, before, after, compose(enlarging, invert(matrix)))
        for before, after, matrix in zip(framed, restored, matrices, strict=True)
    ]
    for change in sorted(changes, key=lambda item: item.side):
        change.paste(canvas)
    return canvas


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that does `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, transform(first[:, 2][None], second)[0]])


def scale_of(matrix: Matrix) -> float:
    """By how much `matrix` enlarges lengths."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


class _Change:
    """What a restorer did to one face, and the place of it in the photograph."""

    def __init__(self, photo: Picture, before: Picture, after: Picture, matrix: Matrix) -> None:
        """`matrix` takes the face's coordinates to those of `photo`, which it is told of before
        any face is pasted: where faces overlap, the one in front was framed without the others."""
        self.side = scale_of(matrix) * len(after)
        self._size = len(after)
        left, top, right, bottom = _bounds(matrix, (self._size, self._size), photo.shape[:2])
        self._region = np.s_[top:bottom, left:right]
        self._matrix = compose(resizing(left, top, 1, 1), matrix)
        self._photo = photo[self._region].copy()
        self._faces = before, after

    def paste(self, canvas: Picture) -> None:
        """Blend the changed face into `canvas`, in place."""
        height, width = self._photo.shape[:2]
        if not height or not width:
            return
        before, after = (face.astype(np.float32) for face in self._faces)
        blended = _warp(after - before, self._matrix, width, height)
        under = canvas[self._region]
        blended += self._photo
        blended -= under
        blended *= _mask(self._size, invert(self._matrix), width, height)[..., None]
        blended += under
        under[:] = _to_uint8(blended)


def _mask(size: int, to_face: Matrix, width: int, height: int) -> NDArray[np.float32]:
    """The opacity of a pasted face, height x width in [0, 1]: 1 inside, 0 at its edge and beyond.

    It is defined in the face's own frame and evaluated at each canvas pixel through the face's
    transform: nothing is resampled, so mask and face cannot drift apart.
    """
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    from_centre = to_face - np.array([[0, 0, (size - 1) / 2]])
    (a, b, c), (d, e, f) = from_centre.tolist()
    farther = np.maximum(np.abs(a * x + (b * y + c)), np.abs(d * x + (e * y + f)))
    ramp = np.clip((size / 2 - farther) / (FEATHER * size), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _warp(image: Pixels, matrix: Matrix, width: int, height: int) -> NDArray[np.float32]:
    """`image` taken through `matrix` onto height x width, float32, in its own range.

    First it is resized as the training pictures are (Pillow's bicubic, antialiased), so that what
    is left to do is to turn and shift it at its own size, which loses least with Lanczos.
    """
    scale = scale_of(matrix)
    margin = _LANCZOS_SUPPORT / scale + _CUBIC_SUPPORT * max(1, 1 / scale)
    left, top, right, bottom = _bounds(invert(matrix), (width, height), image.shape[:2], margin)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    rows, columns = (max(1, round(side * scale)) for side in part.shape[:2])
    reducing = resizing(left, top, columns / part.shape[1], rows / part.shape[0])
    warped = cv2.warpAffine(
        _resize(part, columns, rows),
        compose(matrix, invert(reducing)),
        (width, height),
        flags=cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32)


def _resize(image: Pixels, width: int, height: int) -> NDArray[np.float32]:
    """Pillow's bicubic in float32: rounding once, at the very end, costs least."""
    channels = np.asarray(image, np.float32)
    if (height, width) == image.shape[:2]:
        return channels
    planes = [Image.fromarray(channels[..., index]) for index in range(image.shape[2])]
    resized = [plane.resize((width, height), Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane) for plane in resized], axis=2)


def _bounds(
    matrix: Matrix, size: tuple[int, int], shape: tuple[int, ...], margin: float = 1.0
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of `size` = (width, height) seen through `matrix`, in `shape`."""
    width, height = size[0] - 0.5, size[1] - 0.5
    corners = transform([(-0.5, -0.5), (width, -0.5), (-0.5, height), (width, height)], matrix)
    limits = np.array([shape[1], shape[0]])
    least = np.clip(np.floor(corners.min(0) - margin), 0, limits - 1).astype(int)
    most = np.clip(np.ceil(corners.max(0) + margin) + 1, 0, limits).astype(int)
    return int(least[0]), int(least[1]), int(most[0]), int(most[1])


def resizing(left: float, top: float, across: float, down: float) -> Matrix:
    """The matrix of cutting at pixel (left, top), then resizing by `across` and `down`."""
    return np.array(
        [
            [across, 0, (0.5 - left) * across - 0.5],
            [0, down, (0.5 - top) * down - 0.5],
        ]
    )


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(points, np.float64)
    return array[:, 0] + 1j * array[:, 1]


def _to_uint8(image: NDArray[np.float32]) -> Picture:
    return np.clip(np.rint(image, out=image), 0, 255, out=image).astype(np.uint8)
