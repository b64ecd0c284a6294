"""Malformed pictures and requests, drawn from seeds: the same seed gives the same bytes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import formats
import numpy as np
from formats import FORMATS, Random, chunk
from PIL import Image

RAW = "application/octet-stream"

_SEARCHES = 0.1  # to look for faces takes long
_CALM = 0.5  # of the requests have no option
ACCEPTS = ("image/png", "image/jpeg", "image/webp", "application/json")


@dataclass(frozen=True)
class Case:
    """What is sent, and the mutator and seed that drew it. target: behind /v1/."""

    name: str
    body: bytes
    content_type: str
    target: str
    accept: str = "image/png"


def _flipped(content: bytes, random: Random, within: int) -> bytes:
    array = np.frombuffer(content, np.uint8).copy()
    places = random.integers(0, min(within, len(array)), random.integers(1, 33))
    array[places] ^= (1 << random.integers(0, 8, len(places))).astype(np.uint8)
    return array.tobytes()


def flipped_bits(random: Random) -> bytes:
    return _flipped(formats.picture(random), random, 1 << 20)


def flipped_headers(random: Random) -> bytes:
    return _flipped(formats.picture(random), random, 64)


def cut_off(random: Random) -> bytes:
    content = formats.picture(random)
    return content[: random.integers(0, len(content))]


def moved_blocks(random: Random) -> bytes:
    """A block of a picture is left out, repeated, or put elsewhere."""
    content = formats.picture(random)
    start, end = sorted(random.integers(0, len(content) + 1, 2))
    block, rest = content[start:end], content[:start] + content[end:]
    place = random.integers(0, len(rest) + 1)
    return [rest, content[:end] + content[start:], rest[:place] + block + rest[place:]][
        random.integers(3)
    ]


def noise_behind_a_signature(random: Random) -> bytes:
    content = formats.picture(random)
    kept = random.integers(0, 48)
    return content[:kept] + random.bytes(int(random.integers(0, 2000)))


def false_sizes(random: Random) -> bytes:
    """Sizes that a header declares; few of them are refused for that alone."""
    format = str(random.choice(FORMATS))
    most = (0, 1, 255, 999, 1001, 30_000, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
    width, height = (int(side) for side in random.choice(most, 2))
    good = formats.picture(random, format)
    if format == "WEBP":
        good = formats.extended_webp(good, int(random.choice((0, 2, 16, 62))))
    return formats.declared(format, width, height, good)


def inflating(random: Random) -> bytes:
    """A PNG whose pixels, text, profile or EXIF inflate to megabytes."""
    bomb = zlib.compress(bytes(int(random.choice((2, 8, 32))) << 20), 1)
    parts = {
        "pixels": chunk(b"IDAT", bomb),
        "text": chunk(b"zTXt", b"Comment\0\0" + bomb),
        "international": chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        "profile": chunk(b"iCCP", b"icc\0\0" + bomb),
        "raw": chunk(b"eXIf", bomb),
    }
    part = parts[str(random.choice(list(parts)))]
    if random.integers(2):
        return formats.png_with([part])
    return formats.png_with([]).replace(b"\0\0\0\0IEND", part + b"\0\0\0\0IEND")


def many_parts(random: Random) -> bytes:
    """Thousands of chunks or segments, nested or repeated."""
    count = int(random.choice((50, 500, 3000)))
    filling = random.bytes(int(random.integers(0, 60)))
    if random.integers(2):
        kind = bytes(random.choice((b"tEXt", b"iCCP", b"eXIf", b"pHYs", b"PLTE", b"acTL", b"fcTL")))
        return formats.png_with([chunk(kind, b"Key\0" + filling)] * count)
    jpeg = formats.picture(random, "JPEG")
    marker = int(random.choice((0xE1, 0xE2, 0xED, 0xDB, 0xC4, 0xDD, 0xFE)))
    tops = (b"ICC_PROFILE\0\1\xff", b"Exif\0\0MM\0*\0\0\0\x08", b"MPF\0II*\0\x08\0\0\0", b"")
    return formats.jpeg_with([(marker, bytes(random.choice(tops)) + filling)] * count, jpeg)


def many_frames(random: Random) -> bytes:
    """Animations true and false, and directories of a TIFF that lead to each other."""
    kind = random.integers(4)
    if kind == 0:
        control = chunk(b"acTL", struct.pack(">II", int(random.choice((0, 1, 2, 0x7FFFFFFF))), 0))
        return formats.png_with([control])
    if kind == 1:
        return formats.tiff_with(
            [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
             (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64),
             (34665, 4, 1, 8), (330, 4, 1, 8)],
            following=int(random.choice((0, 8, 9, 0xFFFFFFFF))),
        )  # fmt: skip
    count = int(random.choice((2, 20, 100)))
    frames = [Image.fromarray(formats.pixels(random, 8, 8)) for _ in range(count)]
    format = "GIF" if kind == 2 else str(random.choice(("WEBP", "PNG", "TIFF", "MPO")))
    return formats.encoded(frames[0], format, save_all=True, append_images=frames[1:])


def other_types(random: Random) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("face.png", formats.picture(random, "PNG"))
    texts = [
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>',
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n(x) run\n",
        b'{"picture": null}',
        b"P6 4 4 255\n" + bytes(48),
        b"\0\0\0\x1cftypavif" + random.bytes(40),
        b"\x7fELF" + random.bytes(60),
        b"8BPS\0\1" + random.bytes(60),
        archive.getvalue(),
        random.bytes(int(random.integers(1, 4000))),
        b"",
    ]
    return texts[random.integers(len(texts))]


def polyglots(random: Random) -> bytes:
    """Pictures that are something else too."""
    png, jpeg, gif = (formats.picture(random, format) for format in ("PNG", "JPEG", "GIF"))
    archive = io.BytesIO(png)
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("inside.txt", random.bytes(100))
    return [
        archive.getvalue(),
        gif[:6] + b"/*" + gif[8:] + b"*/=1;alert(1)",
        formats.jpeg_with([(0xFE, png), (0xE1, b"Exif\0\0" + png)], jpeg),
        jpeg + png,
        png + jpeg,
        b"%PDF-1.7\n" + png,
        formats.png_with([chunk(b"tEXt", b"Key\0<?php system($_GET[0]); ?>")]) + archive.getvalue(),
        b"BM" + png[2:],
        b"RIFF" + struct.pack("<I", len(gif)) + b"WEBP" + gif,
    ][random.integers(9)]


def wrong_lengths(random: Random) -> bytes:
    """Lengths, sums and offsets that do not fit what they stand for."""
    format = str(random.choice(FORMATS))
    content = bytearray(formats.picture(random, format))
    width, order = (4, "little") if format in ("WEBP", "BMP", "TIFF") else (2, "big")
    if format == "PNG":
        width, places = 4, [content.find(kind) - 4 for kind in (b"IHDR", b"IDAT", b"IEND")]
        places.append(len(content) - 4)
    elif format == "JPEG":
        places = [place + 2 for place in range(len(content) - 4) if content[place] == 0xFF]
    else:
        places = {"WEBP": [4, 16], "BMP": [2, 10, 14, 34], "TIFF": [4, 18, 30]}.get(format, [10])
    place = int(random.choice(places))
    value = int(random.choice((0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, len(content) + 1)))
    content[place : place + width] = (value & (256**width - 1)).to_bytes(width, order)
    return bytes(content)


def odd_modes(random: Random) -> bytes:
    """Good pictures of every kind, most of which are to be restored."""
    height, width = (int(side) for side in random.integers(1, 41, 2))
    grey = formats.pixels(random, height, width, 1)[..., 0]
    rgb = Image.fromarray(formats.pixels(random, height, width))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    clear = rgb.convert("P")
    clear.info["transparency"] = bytes(random.integers(0, 256, 200).astype(np.uint8))
    images: list[tuple[Image.Image, str]] = [
        (deep, "PNG"), (deep, "TIFF"),
        (Image.fromarray(grey.astype(np.float32) * np.float32("nan")), "TIFF"),
        (Image.fromarray(grey.astype(np.int32) << 16), "TIFF"),
        (rgb.convert("CMYK"), "JPEG"), (rgb.convert("CMYK"), "TIFF"), (rgb.convert("LAB"), "TIFF"),
        (rgb.convert("YCbCr"), "TIFF"), (clear, "PNG"), (clear, "GIF"), (rgb.convert("1"), "PNG"),
        (rgb.convert("1"), "TIFF"), (rgb.convert("1"), "BMP"), (rgb.convert("LA"), "PNG"),
        (rgb.convert("RGBA"), "WEBP"), (rgb.convert("RGBA"), "PNG"), (rgb.convert("L"), "JPEG"),
    ]  # fmt: skip
    image, format = images[random.integers(len(images))]
    exif = Image.Exif()
    exif[0x0112] = int(random.integers(0, 12))
    options = {"exif": exif} if format in ("JPEG", "PNG", "WEBP") else {}
    return formats.encoded(image, format, **options)


def odd_sizes(random: Random) -> bytes:
    """Good pictures of one pixel, one line or one column."""
    long = int(random.choice((1, 2, 31, 33, 500, 4000)))
    height, width = ((1, 1), (1, long), (long, 1))[random.integers(3)]
    image = Image.fromarray(formats.pixels(random, height, width))
    return formats.encoded(image, str(random.choice(FORMATS)))


def broken_forms(random: Random) -> tuple[bytes, str]:
    """Multipart bodies, good and bad, and their content types."""
    content, edge = formats.picture(random), "edge"
    disposition = 'Content-Disposition: form-data; name="picture"'
    part = f"--{edge}\r\n{disposition}\r\n\r\n".encode() + content
    end = f"\r\n--{edge}--\r\n".encode()
    form = "multipart/form-data; boundary="
    return [
        (part + end, form + edge),
        (_flipped(part[:60] + end, random, 1 << 20), form + edge),
        (part, form + edge),
        (part + b"\r\n" + part + end, form + edge),
        ((part + b"\r\n") * 40 + end, form + edge),
        (part.replace(b"picture", b"other") + end, form + edge),
        (part.replace(disposition.encode(), b"X" * 5000) + end, form + edge),
        (part.replace(b'"picture"', b"\"picture\"; filename*=utf-8''%00%ff%0d") + end, form + edge),
        (part.replace(b"\r\n", b"\n") + end, form + edge),
        (part + end, form + "x" * int(random.integers(60, 4000))),
        (part + end, form),
        (part + end, form + '"' + edge),
        (part + end, form[:19]),
        (end * 20, form + edge),
        (b"", form + edge),
        (part + end, RAW),
        (content, form + edge),
        (content, str(random.choice(_CONTENT_TYPES))),
    ][random.integers(18)]  # fmt: skip


_CONTENT_TYPES = (
    "image/png", "image/x-nothing", "image/", "IMAGE/JPEG; q=1", "text/plain", "application/json",
    "multipart/mixed; boundary=edge", "application/x-www-form-urlencoded", "*/*", "/", ";", "\xff",
    "multipart/form-data; boundary*0=ed; boundary*1=ge", "image/png; charset=utf-7",
)  # fmt: skip

Mutator = Callable[[Random], bytes | tuple[bytes, str]]

TABLE: tuple[tuple[Mutator, range], ...] = (
    (flipped_bits, range(900)),
    (flipped_headers, range(700)),
    (cut_off, range(600)),
    (moved_blocks, range(400)),
    (noise_behind_a_signature, range(300)),
    (false_sizes, range(500)),
    (inflating, range(60)),
    (many_parts, range(140)),
    (many_frames, range(200)),
    (other_types, range(200)),
    (polyglots, range(200)),
    (wrong_lengths, range(300)),
    (odd_modes, range(200)),
    (odd_sizes, range(100)),
    (broken_forms, range(200)),
)
"""Every mutator and its seeds: 5000 in all."""


def case(mutator: Mutator, seed: int) -> Case:
    """The one of this seed, always the same."""
    random = np.random.default_rng([zlib.crc32(mutator.__name__.encode()), seed])
    drawn = mutator(random)
    body, content_type = drawn if isinstance(drawn, tuple) else (drawn, RAW)
    accept = str(random.choice(ACCEPTS))
    target = f"{_path(random)}{_options(random, accept)}"
    return Case(f"{mutator.__name__} {seed}", body, content_type, target, accept)


def _path(random: Random) -> str:
    """With the model, and for the whole picture as one face or for the faces in it."""
    if random.random() < _SEARCHES:
        searching = "&turned_faces=true&small_faces=true" if random.integers(2) else ""
        return f"enhance?model=sparnet{searching}"
    return ("faces?model=sparnet", "enhance?model=sparnet&aligned=true")[random.integers(2)]


def _options(random: Random, accept: str) -> str:
    if random.random() < _CALM:
        return ""
    options = [f"match_colour={'true' if random.integers(2) else 'false'}"]
    if accept == "application/json":
        options.append("attention=true")
    return "".join(f"&{option}" for option in options)


def order() -> list[tuple[Mutator, int]]:
    """Every mutator with each of its seeds, mixed, so that each stretch is like the whole."""
    every = [(mutator, seed) for mutator, seeds in TABLE for seed in seeds]
    return [every[index] for index in np.random.default_rng(0).permutation(len(every))]
