"""Sound pictures and what may be wrong with them, made on the spot. Pictures are uint8 HxWx3."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sparnet.images import Picture

FACE = (176, 66, 274, 190)
"""Left, top, right, bottom of the face in the astronaut's picture."""


ENLARGERS: dict[str, Callable[[Picture, int], Picture]] = {
    "pillow nearest": lambda image, side: _pillow(image, side, Image.Resampling.NEAREST),
    "pillow bilinear": lambda image, side: _pillow(image, side, Image.Resampling.BILINEAR),
    "pillow bicubic": lambda image, side: _pillow(image, side, Image.Resampling.BICUBIC),
    "pillow lanczos": lambda image, side: _pillow(image, side, Image.Resampling.LANCZOS),
    "opencv linear": lambda image, side: _opencv(image, side, cv2.INTER_LINEAR),
    "opencv cubic": lambda image, side: _opencv(image, side, cv2.INTER_CUBIC),
    "opencv lanczos": lambda image, side: _opencv(image, side, cv2.INTER_LANCZOS4),
}


def jpeg(image: Picture, quality: int) -> Picture:
    """The picture as JPEG gives it back."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream).convert("RGB"))


def wrecked(image: Picture, quality: int = 8) -> Picture:
    """A JPEG wreck, cropped so that its grid does not begin at the edge."""
    return np.ascontiguousarray(jpeg(image, quality)[3:, 5:])


def enlarged(image: Picture, how: str, small: int = 64) -> Picture:
    """The picture's middle reduced to `small` pixels, enlarged to four times that."""
    return ENLARGERS[how](_pillow(square(image), small, Image.Resampling.LANCZOS), 4 * small)


def barred(image: Picture, colour: tuple[int, int, int], share: float, upright: bool) -> Picture:
    """With two bars of a colour, of `share` of the area each, above and below or left and right."""
    result = image.swapaxes(0, 1).copy() if upright else image.copy()
    width = round(share * len(result))
    result[:width] = result[-width:] = colour
    return np.ascontiguousarray(result.swapaxes(0, 1)) if upright else result


def written_over(
    image: Picture, text: str, opacity: float, white: bool = True, top: float = 0.7
) -> Picture:
    """A line of half-transparent text across the picture; `top`: where, as a part of its height."""
    height, width = image.shape[:2]
    font = _font(text, round(0.8 * width))
    layer = Image.new("RGBA", (width, height))
    colour = (255, 255, 255) if white else (0, 0, 0)
    place = (round(0.1 * width), round(top * height))
    ImageDraw.Draw(layer).text(place, text, (*colour, round(255 * opacity)), font)
    return _laid_over(image, layer)


def tiled(image: Picture, text: str, opacity: float) -> Picture:
    """Slanted half-transparent text all over the picture."""
    height, width = image.shape[:2]
    side = 2 * max(height, width)
    font = _font(text, round(0.3 * width))
    layer = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(layer)
    across, down = round(draw.textlength(text, font) * 1.2), round(font.size * 2)
    for top in range(0, side, down):
        for left in range(0, side, across):
            draw.text((left, top), text, (255, 255, 255, round(255 * opacity)), font)
    turned = layer.rotate(30)
    left, top = (side - width) // 2, (side - height) // 2
    return _laid_over(image, turned.crop((left, top, left + width, top + height)))


def greyed(image: Picture, quality: int = 60) -> Picture:
    """Without its colours but for those that JPEG adds: not exactly grey in a colour file."""
    grey = np.array(Image.fromarray(image).convert("L").convert("RGB"))
    tinged = np.clip(grey + np.int16([1, 0, 2]), 0, 255).astype(np.uint8)
    return jpeg(tinged, quality)


def cartoon(number: int, side: int = 256) -> Picture:
    """A face drawn with flat colours and hard outlines; another for every number."""
    draws = np.random.default_rng(number)
    scale = 4 * side / 100
    image = Image.new("RGB", (4 * side, 4 * side), _colour(draws))
    pen = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, wide: float, high: float, colour: object) -> None:
        box = [(x - wide) * scale, (y - high) * scale, (x + wide) * scale, (y + high) * scale]
        pen.ellipse(box, fill=colour, outline="black", width=round(scale))  # type: ignore[arg-type]

    skin, hair = _colour(draws), _colour(draws)
    ellipse(50, 40, draws.uniform(28, 36), draws.uniform(28, 34), hair)
    ellipse(50, 52, draws.uniform(22, 30), draws.uniform(28, 36), skin)
    for x in (40, 60):
        ellipse(x, 47, draws.uniform(4, 8), draws.uniform(3, 8), "white")
        ellipse(x, 47, 2.5, 2.5, _colour(draws))
    ellipse(50, 58, 2, draws.uniform(2, 6), skin)
    ellipse(50, 70, draws.uniform(4, 12), draws.uniform(1, 6), (190, 30, 40))
    return jpeg(_pillow(np.array(image), side, Image.Resampling.LANCZOS), 85)


def square(image: Picture) -> Picture:
    """The picture's middle."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _pillow(image: Picture, side: int, filter: Image.Resampling) -> Picture:
    return np.array(Image.fromarray(image).resize((side, side), filter))


def _opencv(image: Picture, side: int, filter: int) -> Picture:
    return np.asarray(cv2.resize(image, (side, side), interpolation=filter), np.uint8)


def _font(text: str, width: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, at which the text is about `width` pixels long."""
    font = ImageFont.load_default(size=100)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_variant(size=max(9, round(100 * width / font.getlength(text))))


def _laid_over(image: Picture, layer: Image.Image) -> Picture:
    under = Image.fromarray(image).convert("RGBA")
    return jpeg(np.array(Image.alpha_composite(under, layer).convert("RGB")), 90)


def _colour(draws: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = draws.integers(40, 230, 3).tolist()
    return red, green, blue
