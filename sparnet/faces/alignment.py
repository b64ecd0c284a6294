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
    left, top, right, bottom = box
    side = max(1, round(enlarge * max(right - left, bottom - top)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = image.shape[:2]
    rows = np.clip(np.arange(y, y + side), 0, height - 1)
    columns = np.clip(np.arange(x, x + side), 0, width - 1)
    picture = images.resize(image[np.ix_(rows, columns)], (size, size))
    return picture, _resizing(x, y, size / side, size / side)


def paste_back(
    photo: Picture, faces: Sequence[Picture], matrices: Sequence[Matrix], upscale: int = 1
) -> Picture:
    """`photo`, enlarged `upscale` times (bicubic), with each restored face back in its place.

    faces: uint8 SxSx3 each; matrices: those that framed them. Each face fades in over FEATHER of
    its side. The smallest is pasted first, so that a face in front covers those behind it.
    Returns uint8 HxWx3; pixels outside the faces are those of the (enlarged) photograph.
    """
    height, width = photo.shape[0] * upscale, photo.shape[1] * upscale
    canvas = photo.copy() if upscale == 1 else images.resize(photo, (width, height))
    enlarging = _resizing(0, 0, upscale, upscale)
    placed = [
        (face, compose(enlarging, invert(matrix)))
        for face, matrix in zip(faces, matrices, strict=True)
    ]
    for face, matrix in sorted(placed, key=lambda item: scale_of(item[1]) * len(item[0])):
        _paste(canvas, face, matrix)
    return canvas


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that does `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, transform(first[:, 2][None], second)[0]])


def scale_of(matrix: Matrix) -> float:
    """By how much `matrix` enlarges lengths."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _paste(canvas: Picture, face: Picture, matrix: Matrix) -> None:
    """Blend `face` into `canvas`, in place; `matrix` takes the face's coordinates to the canvas."""
    left, top, right, bottom = _bounds(matrix, (len(face), len(face)), canvas.shape[:2])
    if left >= right or top >= bottom:
        return
    shifted = compose(_resizing(left, top, 1, 1), matrix)
    under = canvas[top:bottom, left:right]
    blended = _warp(face, shifted, right - left, bottom - top)
    blended -= under
    blended *= _mask(len(face), invert(shifted), right - left, bottom - top)[..., None]
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


def _warp(image: Picture, matrix: Matrix, width: int, height: int) -> NDArray[np.float32]:
    """`image` taken through `matrix` onto height x width, float32, about 0..255.

    First it is resized as the training pictures are (Pillow's bicubic, antialiased), so that what
    is left to do is to turn and shift it at its own size, which loses least with Lanczos.
    """
    scale = scale_of(matrix)
    margin = _LANCZOS_SUPPORT / scale + _CUBIC_SUPPORT * max(1, 1 / scale)
    left, top, right, bottom = _bounds(invert(matrix), (width, height), image.shape[:2], margin)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    rows, columns = (max(1, round(side * scale)) for side in part.shape[:2])
    resizing = _resizing(left, top, columns / part.shape[1], rows / part.shape[0])
    warped = cv2.warpAffine(
        _resize(part, columns, rows),
        compose(matrix, invert(resizing)),
        (width, height),
        flags=cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32)


def _resize(image: Picture, width: int, height: int) -> NDArray[np.float32]:
    """Pillow's bicubic in float32: rounding once, at the very end, costs least."""
    channels = image.astype(np.float32)
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


def _resizing(left: float, top: float, across: float, down: float) -> Matrix:
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
