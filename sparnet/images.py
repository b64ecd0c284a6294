"""Pictures as uint8 arrays: safe reading, Pillow-exact resizing, luma, PSNR, picture strips.

Everywhere in the project a picture is a C-contiguous uint8 array HxWx3, RGB, 0..255.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sparnet.errors import UserError

if TYPE_CHECKING:
    import torch

Picture = NDArray[np.uint8]
Protocol = Literal["official", "float"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 64_000_000
PSNR_OF_EQUALS = 100.0
"""What equal pictures count as where means are taken, in dB."""

DETAIL_SIDE = 64
"""Side of the pictures of a face that `detail` is taken of."""

_FILTERS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_CAPTION_HEIGHT = 16
_GAP = 2


class UnreadableImage(UserError):
    """The data is no picture that can be used; `detail` says why, without naming the file."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail)
        self.detail = detail

    def __str__(self) -> str:
        return ": ".join(self.args)


def read(source: bytes | Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture from encoded bytes or a file into uint8 HxWx3 RGB.

    The header is checked before a pixel is decoded: one of FORMATS, a single frame, at most
    `max_pixels` pixels. The EXIF orientation is applied; transparency is laid on white; 16-bit grey
    is scaled by 1/257; colour profiles are not applied. Raises UnreadableImage otherwise.
    """
    with decoded(source, max_pixels) as image:
        return np.array(upright(image, _to_rgb(image)))


@contextmanager
def decoded(source: bytes | Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The picture as Pillow decodes it, checked as `read` says.

    What fails while it is in use counts as damage too: UnreadableImage.
    """
    name = str(source) if isinstance(source, Path) else "picture"
    stream = source if isinstance(source, Path) else io.BytesIO(source)
    try:
        with Image.open(stream, formats=FORMATS) as image:
            _check_header(image, name, max_pixels)
            image.load()
            yield image
    except (UnreadableImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(name, f"more than {max_pixels} pixels") from None
    except Image.UnidentifiedImageError:
        raise UnreadableImage(name, f"not a picture in {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableImage(name, f"cannot be read ({error.strerror})") from None
        text = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(name, f"damaged picture ({text})") from None


def ignore_warnings() -> None:
    """Let Pillow read whatever strangers send without a word, in the whole process.

    It warns of damage in words that the damage chooses, and Python keeps each for good.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def upright(image: Image.Image, pixels: Image.Image) -> Image.Image:
    """`pixels`, turned as the EXIF block of `image` says."""
    turned = _ORIENTATIONS.get(_orientation(image))
    return pixels if turned is None else pixels.transpose(turned)


def size_of(source: bytes) -> tuple[int, int] | None:
    """(width, height) as stored, from the header alone; None where it is no known picture."""
    try:
        with Image.open(io.BytesIO(source), formats=FORMATS) as image:
            return image.size
    except Exception:  # as in `read`; what is wrong with it is told by `read`
        return None


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """PNG of uint8 HxWx3 or HxW; the same pixels give the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def resize(
    image: NDArray[np.uint8], size: tuple[int, int], filter: Filter = "bicubic"
) -> NDArray[np.uint8]:
    """Resize uint8 HxWx3 or HxW to `size` = (width, height) exactly as Pillow does.

    All filters but "nearest" are antialiased when shrinking and round to uint8 after each axis.
    """
    return np.array(Image.fromarray(image).resize(size, _FILTERS[filter]))


def square(image: Picture) -> Picture:
    """The largest centred square of uint8 HxWx3."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def luma(rgb: Picture, truncate: bool = True) -> NDArray[np.uint8] | NDArray[np.float64]:
    """Studio-range BT.601 luma, 16..235, of uint8 ...x3: uint8 cut down to whole, or float64."""
    red, green, blue = (rgb[..., channel].astype(np.int64) for channel in range(3))
    thousandths = 65_481 * red + 128_553 * green + 24_966 * blue
    if truncate:
        return (16 + thousandths // 255_000).astype(np.uint8)
    return 16 + thousandths / 255_000


def psnr(a: Picture, b: Picture, protocol: Protocol = "official") -> float:
    """PSNR in dB of two uint8 HxWx3 pictures on luma, peak 255, no border crop; equal: inf.

    "official" cuts the luma down to whole numbers, "float" does not. Raises ValueError where the
    shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different shapes: {a.shape} and {b.shape}")
    truncate = protocol == "official"
    difference = luma(a, truncate).astype(np.float64) - luma(b, truncate)
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def sharpness(rgb: Picture) -> float:
    """Variance of the four-neighbour Laplacian of the float luma, interior pixels only."""
    y = luma(rgb, truncate=False)
    if min(y.shape) < 3:
        return 0.0
    laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
    return float(np.var(laplacian))


def detail(rgb: Picture) -> float:
    """Sharpness per variance of the luma, which contrast does not change; 0 for a single colour.

    Comparable between faces of the same side, such as DETAIL_SIDE.
    """
    contrast = float(np.var(luma(rgb, truncate=False)))
    return sharpness(rgb) / contrast if contrast else 0.0


def is_grey(rgb: Picture) -> bool:
    """Whether red, green and blue are equal in every pixel."""
    return np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2])


def to_tensor(images: Picture) -> torch.Tensor:
    """uint8 HWC or NHWC -> float32 NCHW in [-1, 1]."""
    import torch  # here, so that workers that only read pictures do not load it

    batch = images[None] if images.ndim == 3 else images
    tensor = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
    return tensor.to(torch.float32).div_(127.5).sub_(1)


def to_uint8(tensor: torch.Tensor) -> Picture:
    """NCHW in [-1, 1], any float type and device -> uint8 NHWC, rounded and clipped."""
    scaled = tensor.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.byte().permute(0, 2, 3, 1).cpu().numpy())


def strip(images: Sequence[Picture], labels: Sequence[str] | None = None) -> Picture:
    """Pictures side by side on white, with captions above where `labels` are given.

    Lower pictures are enlarged to the tallest one's height with visible pixels (nearest).
    """
    if not images:
        raise ValueError("a strip needs at least one picture")
    height = max(image.shape[0] for image in images)
    scaled = [_to_height(image, height) for image in images]
    top = _CAPTION_HEIGHT if labels is not None else 0
    width = sum(image.shape[1] for image in scaled) + _GAP * (len(scaled) - 1)
    canvas = Image.new("RGB", (width, top + height), "white")
    draw = ImageDraw.Draw(canvas)
    left = 0
    for index, image in enumerate(scaled):
        canvas.paste(Image.fromarray(image), (left, top))
        if labels is not None:
            _caption(draw, labels[index], left, image.shape[1])
        left += image.shape[1] + _GAP
    return np.array(canvas)


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(name, f"{width}x{height} is more than {max_pixels} pixels")
    # An MPO is a camera's JPEG with previews behind the picture: its first frame is the picture.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnreadableImage(name, "more than one frame")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a broken EXIF block does not spoil the pixels
        return 1


def to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey scaled by 1/257, other pictures as they are; ValueError for I and F."""
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no known range")
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    image = to_8_bit(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _to_height(image: Picture, height: int) -> Picture:
    if image.shape[0] == height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return resize(image, (width, height), "nearest")


def _caption(draw: ImageDraw.ImageDraw, text: str, left: int, width: int) -> None:
    font = ImageFont.load_default(size=11)
    while len(text) > 1 and draw.textlength(text, font=font) > width:
        text = text[:-1]
    draw.text((left + 1, 1), text, fill="black", font=font)
