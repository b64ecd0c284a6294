"""Pictures of every format from a generator of random numbers, and surgery on their bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

Random = np.random.Generator


def pixels(random: Random, height: int, width: int, channels: int = 3) -> np.ndarray:
    """A ramp with noise: uint8, HxWxC."""
    ramp = np.linspace(0, 200, height * width * channels).reshape(height, width, channels)
    return (ramp + random.integers(0, 56, ramp.shape)).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def picture(random: Random, format: str | None = None, longest: int = 32) -> bytes:
    """A whole picture, of any format where none is named, of at most `longest` pixels a side."""
    height, width = random.integers(1, longest + 1, 2)
    image = Image.fromarray(pixels(random, height, width))
    return encoded(image, format or str(random.choice(FORMATS)))


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG with a right length and sum."""
    return struct.pack(">I", len(content)) + kind + content + _sum(kind + content)


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png_with(chunks: Iterable[bytes], side: int = 8) -> bytes:
    """A good PNG with more chunks between its header and its pixels."""
    lines = (b"\0" + b"\x80" * 3 * side) * side
    end = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND")
    return png_header(side, side) + b"".join(chunks) + end


def jpeg_with(segments: Iterable[tuple[int, bytes]], jpeg: bytes) -> bytes:
    """`jpeg` with more segments behind its start: markers 0xFFxx and contents."""
    more = (struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
    return jpeg[:2] + b"".join(more) + jpeg[2:]


def tiff_with(tags: Iterable[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A little-endian TIFF of these entries (tag, type, count, value) and the next one's place."""
    entries = sorted(tags)
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    return head + body + struct.pack("<I", following) + b"\x80" * 256


def declared(format: str, width: int, height: int, good: bytes) -> bytes:
    """A header that says so, in front of nearly nothing; `good` is a small one of the format."""
    if format == "PNG":
        return png_header(width, height) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    if format == "TIFF":
        sizes = [(256, 4, 1, width), (257, 4, 1, height), (278, 4, 1, height), (279, 4, 1, 256)]
        kinds = [(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1)]
        return tiff_with(sizes + kinds)
    start = {"JPEG": good.find(b"\xff\xc0") + 5, "BMP": 18, "GIF": 6, "WEBP": 24}[format]
    return _overwritten(good, start, _sides(format, width, height))


def _sides(format: str, width: int, height: int) -> bytes:
    if format == "JPEG":
        return struct.pack(">HH", min(height, 0xFFFF), min(width, 0xFFFF))
    if format == "GIF":
        return struct.pack("<HH", min(width, 0xFFFF), min(height, 0xFFFF))
    if format == "BMP":
        return struct.pack("<ii", min(width, 0x7FFFFFFF), -min(height, 0x7FFFFFFF))
    wide, high = (min(max(side, 1) - 1, 0xFFFFFF) for side in (width, height))
    return wide.to_bytes(3, "little") + high.to_bytes(3, "little")


def extended_webp(content: bytes, flags: int = 0) -> bytes:
    """A WebP in its extended form, around the chunks of the simple one `content`."""
    chunks = b"VP8X" + struct.pack("<II", 10, flags) + bytes(6) + content[12:]
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _overwritten(content: bytes, start: int, part: bytes) -> bytes:
    return content[:start] + part + content[start + len(part) :]


def _sum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))
