"""Photographs as files: colours, transparency and metadata beside the pixels, in and out."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from sparnet import images
from sparnet.errors import UserError
from sparnet.images import Picture
from sparnet.inference.planning import writable

QUALITY = 95
"""Of JPEG and WebP; JPEG keeps the colours of every pixel (4:4:4)."""

_MOST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_SRGB = ImageCms.createProfile("sRGB")
_XMP_ORIENTATION = re.compile(rb'\s+tiff:Orientation="\d"|<tiff:Orientation>\d</tiff:Orientation>')

_TOLD = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
)
"""EXIF tags of the first block that are about the photograph, not about its file."""

_OF_OLD_PIXELS = (
    ExifTags.Base.ColorSpace,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
)


@dataclass(frozen=True, eq=False)
class Photograph:
    """An upright picture and what its file says beside the pixels.

    pixels: uint8 HxWx3. alpha: opacity, uint8 HxW. grey: whether the file held no colours.
    profile: the ICC profile of the pixels, None for sRGB. exif and xmp: the metadata that is to be
    written again, None for none.
    """

    pixels: Picture
    alpha: NDArray[np.uint8] | None = None
    grey: bool = False
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def showing(self, pixels: Picture) -> Photograph:
        """The same with other pixels, of any size: the opacity is resized to them."""
        height, width = pixels.shape[:2]
        alpha = self.alpha
        if alpha is not None and alpha.shape != (height, width):
            alpha = images.resize(alpha, (width, height))
        return replace(self, pixels=pixels, alpha=alpha)


def read(
    source: bytes | Path,
    *,
    keep_profile: bool = False,
    keep_metadata: bool = False,
    max_pixels: int = images.MAX_PIXELS,
) -> Photograph:
    """Decode a photograph, turned upright; UnreadableImage where `images.read` raises it.

    Colours are converted to sRGB by the embedded ICC profile; with `keep_profile` those of an RGB
    picture stay as they are and keep their profile. `keep_metadata` keeps EXIF, GPS included, and
    XMP, without what the result makes untrue: orientation, size, preview.
    """
    with images.decoded(source, max_pixels) as image:
        colours, opacity = _split(images.to_8_bit(image))
        icc = image.info.get("icc_profile")
        kept = icc if keep_profile and colours.mode == "RGB" else None
        rgb = colours.convert("RGB") if kept else _in_srgb(colours, icc)
        return Photograph(
            np.array(images.upright(image, rgb)),
            None if opacity is None else np.array(images.upright(image, opacity)),
            colours.mode in ("1", "L"),
            kept,
            _exif(image) if keep_metadata else None,
            _xmp(image) if keep_metadata else None,
        )


def encode(photograph: Photograph, suffix: str) -> bytes:
    """The photograph as a file of the format that `suffix` names (see `planning.WRITABLE`).

    Transparency is kept where the format has it, and laid on white in a JPEG; a grey photograph
    is written grey. Raises UserError for another suffix, or where the format has no such size.
    """
    kind = writable(suffix)
    height, width = photograph.pixels.shape[:2]
    if max(height, width) > _MOST_SIDE.get(kind, max(height, width)):
        raise UserError(f"{width}x{height} pixels are too many for {kind}; write a PNG")
    stream = io.BytesIO()
    _image(photograph, kind).save(stream, format=kind, **_options(photograph, kind))
    return stream.getvalue()


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours without transparency, and the opacity where there is any."""
    if image.has_transparency_data:
        plain = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
        whole = image.convert(plain)
        return whole.convert(plain[:-1]), whole.getchannel("A")
    if image.mode in ("1", "L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("RGB"), None


def _in_srgb(colours: Image.Image, icc: bytes | None) -> Image.Image:
    """RGB by the profile `icc`; one that is damaged, or not of such colours, does not count."""
    if icc and colours.mode != "1":
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            if "srgb" in ImageCms.getProfileDescription(profile).lower():
                return colours.convert("RGB")
            converted = ImageCms.profileToProfile(colours, profile, _SRGB, outputMode="RGB")
            assert converted is not None  # only a conversion in place gives none
            return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return colours.convert("RGB")


def _exif(image: Image.Image) -> bytes | None:
    try:
        found = image.getexif()
        kept = Image.Exif()
        for tag in _TOLD:
            if tag in found:
                kept[tag] = found[tag]
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if told := dict(found.get_ifd(block)):
                kept[block] = {tag: told[tag] for tag in told if tag not in _OF_OLD_PIXELS}
        return kept.tobytes() if kept else None
    except Exception:  # a broken block does not spoil the pixels
        return None


def _xmp(image: Image.Image) -> bytes | None:
    found: Any = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not found:
        return None
    return _XMP_ORIENTATION.sub(b"", found if isinstance(found, bytes) else str(found).encode())


def _image(photograph: Photograph, kind: str) -> Image.Image:
    image = Image.fromarray(photograph.pixels)
    if photograph.grey:
        image = image.convert("L")
    if photograph.alpha is None:
        return image
    opacity = Image.fromarray(photograph.alpha)
    if kind == "JPEG":
        return Image.composite(image, Image.new(image.mode, image.size, "white"), opacity)
    image.putalpha(opacity)
    return image


def _options(photograph: Photograph, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {"icc_profile": photograph.profile}
    if photograph.exif:
        options["exif"] = photograph.exif
    if kind == "PNG":
        options["compress_level"] = 3
        if photograph.xmp:
            options["pnginfo"] = text = PngImagePlugin.PngInfo()
            text.add_itxt("XML:com.adobe.xmp", photograph.xmp.decode(errors="replace"))
        return options
    if photograph.xmp:
        options["xmp"] = photograph.xmp
    return options | {"quality": QUALITY} | ({"subsampling": 0} if kind == "JPEG" else {})
