from __future__ import annotations

import contextlib
import copy
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparnet.images import (
    MAX_PIXELS,
    UnreadableImage,
    encode_png,
    ignore_warnings,
    read,
    size_of,
)

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=format, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A valid PNG header that promises far more pixels than follow."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_back_pixel_for_pixel(format: str) -> None:
    assert np.array_equal(read(encoded(Image.fromarray(COLOURS), format)), COLOURS)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_come_back_with_their_size(format: str) -> None:
    image = read(encoded(Image.fromarray(COLOURS), format))
    assert image.shape == (12, 20, 3)
    assert image.dtype == np.uint8


def test_a_file_reads_as_its_bytes_do(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(encode_png(COLOURS))
    assert np.array_equal(read(path), read(path.read_bytes()))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
        (99, lambda a: a),
    ],
)
def test_the_exif_orientation_is_applied(orientation: int, upright) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(COLOURS), "PNG", exif=exif)
    assert np.array_equal(read(data), upright(COLOURS))


def test_a_broken_exif_block_does_not_spoil_the_picture() -> None:
    data = encoded(Image.fromarray(COLOURS), "PNG", exif=b"Exif\0\0not really")
    assert np.array_equal(read(data), COLOURS)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_to_8_bit(format: str) -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    image = read(encoded(Image.fromarray(grey), format))
    assert np.array_equal(image, np.repeat(np.arange(256).reshape(16, 16, 1), 3, axis=2))


def test_transparent_pixels_are_laid_on_white() -> None:
    rgba = np.dstack([COLOURS, np.full((12, 20), 255, np.uint8)])
    rgba[0, 0, 3] = 0
    image = read(encode_png(rgba))
    assert np.array_equal(image[0, 0], [255, 255, 255])
    assert np.array_equal(image[1:], COLOURS[1:])


def test_a_transparent_palette_entry_is_laid_on_white() -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    image = read(encoded(palette, "PNG", transparency=0))
    assert image.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA"])
def test_every_mode_of_png_becomes_rgb(mode: str) -> None:
    image = read(encoded(Image.new(mode, (5, 4)), "PNG"))
    assert image.shape == (4, 5, 3)


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read(encoded(red, "JPEG", quality=95))
    assert np.abs(image.astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 1000,
        b"<html>not found</html>",
        b"\x89PNG\r\n\x1a\n",
        encode_png(COLOURS)[:-40],
        encoded(Image.fromarray(COLOURS), "JPEG")[:-120],
        encoded(Image.fromarray(COLOURS), "PPM"),
        encoded(Image.new("F", (4, 4)), "TIFF"),
        encoded(Image.new("I", (4, 4)), "TIFF"),
    ],
)
def test_what_is_no_sound_picture_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        read(data)
    assert "\n" not in str(refusal.value)
    assert refusal.value.detail


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_more_than_one_frame_is_refused(format: str) -> None:
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImage, match="more than one frame"):
        read(data)


def test_a_camera_jpeg_with_previews_gives_its_first_picture() -> None:
    large, preview = Image.fromarray(COLOURS), Image.new("RGB", (4, 4))
    data = encoded(large, "MPO", save_all=True, append_images=[preview])
    assert read(data).shape == (12, 20, 3)


@pytest.mark.parametrize("side", [9_000, 11_000, 50_000, 2_000_000_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PIXELS} pixels"):
        read(png_header(side, side))


def test_the_pixel_limit_is_the_callers() -> None:
    data = encode_png(COLOURS)
    assert read(data, max_pixels=240).shape == (12, 20, 3)
    with pytest.raises(UnreadableImage, match="20x12 is more than 239 pixels"):
        read(data, max_pixels=239)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"nobody\.png: cannot be read \(No such file"):
        read(tmp_path / "nobody.png")
    with pytest.raises(UnreadableImage, match=r"cannot be read \(Is a directory"):
        read(tmp_path)


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 255))
def test_damage_gives_a_picture_or_a_refusal_and_nothing_else(
    tail: bytes, place: int, value: int
) -> None:
    sound = bytearray(encoded(Image.fromarray(COLOURS), "JPEG"))
    sound[place] = value
    for data in (bytes(sound), bytes(sound[:place]) + tail, tail):
        try:
            image = read(data, max_pixels=100_000)
        except UnreadableImage:
            continue
        assert image.ndim == 3
        assert image.dtype == np.uint8


def test_pillow_does_not_speak_of_damage_where_warnings_are_ignored() -> None:
    tiff = bytearray(encoded(Image.fromarray(COLOURS), "TIFF"))
    count = tiff.index(struct.pack("<HHI", 258, 3, 3)) + 4
    tiff[count : count + 4] = struct.pack("<I", 1 << 24)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with contextlib.suppress(UnreadableImage):
            read(bytes(tiff))
        assert told
        told.clear()
        ignore_warnings()
        with contextlib.suppress(UnreadableImage):
            read(bytes(tiff))
        assert not told


def test_a_refusal_survives_the_way_between_processes() -> None:
    refusal = copy.copy(UnreadableImage("a.png", "damaged"))
    assert str(refusal) == "a.png: damaged"
    assert refusal.detail == "damaged"


def test_the_size_is_told_by_the_header_alone() -> None:
    assert size_of(encode_png(COLOURS)) == (20, 12)
    assert size_of(encode_png(COLOURS)[:60]) == (20, 12)
    assert size_of(b"no picture") is None


def test_png_keeps_pixels_and_gives_the_same_bytes_twice() -> None:
    assert encode_png(COLOURS) == encode_png(COLOURS.copy())
    assert np.array_equal(read(encode_png(COLOURS)), COLOURS)
