"""What a file says beside its pixels, read and written again."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import ExifTags, Image, ImageCms

from sparnet import images
from sparnet.errors import UserError
from sparnet.inference import planning
from sparnet.inference.photograph import Photograph, encode, read

COLOURS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
GPS, EXIF = ExifTags.IFD.GPSInfo, ExifTags.IFD.Exif


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=format, **options)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.fixture(scope="module")
def swapped() -> bytes:
    """An ICC profile whose red is blue and whose blue is red."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = srgb.replace(b"rXYZ", b"?").replace(b"bXYZ", b"rXYZ").replace(b"?", b"bXYZ")
    return other.replace("sRGB".encode("utf-16-be"), "RBGs".encode("utf-16-be"))


@pytest.fixture
def told() -> Image.Exif:
    """A camera's EXIF block, of a picture that lies on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Ada"
    exif[EXIF] = {
        ExifTags.Base.ExifImageWidth: 999,
        ExifTags.Base.DateTimeOriginal: "2020:01:02 03:04:05",
    }
    exif[GPS] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return exif


@pytest.mark.parametrize("suffix", [".png", ".PNG"])
def test_a_png_comes_back_pixel_for_pixel(suffix: str) -> None:
    assert_array_equal(read(encode(Photograph(COLOURS), suffix)).pixels, COLOURS)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_come_close(astronaut: np.ndarray, suffix: str) -> None:
    back = read(encode(Photograph(astronaut), suffix)).pixels
    assert images.psnr(back, astronaut) > 38


def test_the_same_photograph_is_the_same_bytes() -> None:
    for suffix in planning.WRITABLE:
        assert encode(Photograph(COLOURS), suffix) == encode(Photograph(COLOURS), suffix)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_kept_and_follows_the_size(suffix: str) -> None:
    alpha = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None], 24, axis=0)
    data = encoded(Image.fromarray(np.dstack([COLOURS, alpha])), "PNG")
    photo = read(data)
    assert_array_equal(photo.pixels, COLOURS)
    assert_array_equal(photo.alpha, alpha)
    larger = photo.showing(images.resize(COLOURS, (80, 48)))
    back = opened(encode(larger, suffix))
    assert back.mode == "RGBA"
    assert_array_equal(np.asarray(back)[..., 3], images.resize(alpha, (80, 48)))


def test_transparency_is_laid_on_white_in_a_jpeg() -> None:
    clear = Photograph(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    assert read(encode(clear, ".jpg")).pixels.min() >= 254


def test_a_grey_photograph_stays_grey() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    photo = read(encoded(Image.fromarray(grey), "PNG"))
    assert photo.grey
    assert photo.pixels.shape == (16, 16, 3)
    back = opened(encode(photo, ".png"))
    assert back.mode == "L"
    assert_array_equal(np.asarray(back), grey)


def test_16_bit_grey_becomes_8_bit_grey() -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    photo = read(encoded(Image.fromarray(deep), "PNG"))
    assert_array_equal(photo.pixels[..., 0].ravel(), np.arange(256))
    assert photo.grey


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    photo = read(encoded(red, "JPEG", quality=95))
    assert np.abs(photo.pixels.astype(int) - [255, 0, 0]).max() <= 4
    assert opened(encode(photo, ".png")).mode == "RGB"


def test_colours_are_converted_to_srgb_or_kept_with_their_profile(swapped: bytes) -> None:
    data = encoded(Image.fromarray(COLOURS), "PNG", icc_profile=swapped)
    converted, kept = read(data), read(data, keep_profile=True)
    assert np.abs(converted.pixels.astype(int) - COLOURS[..., ::-1]).max() <= 2
    assert "icc_profile" not in opened(encode(converted, ".png")).info
    assert_array_equal(kept.pixels, COLOURS)
    for suffix in (".png", ".jpg", ".webp"):
        assert opened(encode(kept, suffix)).info["icc_profile"] == swapped


def test_srgb_stays_as_it_is() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(Image.fromarray(COLOURS), "PNG", icc_profile=srgb)
    assert_array_equal(read(data).pixels, COLOURS)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_profile_that_is_damaged_does_not_count(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    data = encoded(image, "TIFF", icc_profile=b"no profile at all")
    assert_array_equal(read(data).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_is_stripped_but_what_shows_the_picture_right(
    told: Image.Exif, suffix: str
) -> None:
    data = encoded(Image.fromarray(COLOURS), "JPEG", exif=told, quality=100, xmp=b"<x>Ada</x>")
    photo = read(data)
    assert photo.pixels.shape == (40, 24, 3), "turned upright"
    written = encode(photo, suffix)
    assert not opened(written).getexif()
    assert b"Ada" not in written


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_is_kept_on_request_without_what_is_no_longer_true(
    told: Image.Exif, suffix: str
) -> None:
    xmp = b'<x tiff:Orientation="6">Ada</x>'
    data = encoded(Image.fromarray(COLOURS), "JPEG", exif=told, xmp=xmp)
    back = opened(encode(read(data, keep_metadata=True), suffix))
    exif = back.getexif()
    assert exif[ExifTags.Base.Artist] == "Ada"
    assert exif.get_ifd(GPS)[2] == (52.0, 31.0, 12.0)
    assert exif.get_ifd(EXIF)[ExifTags.Base.DateTimeOriginal] == "2020:01:02 03:04:05"
    assert ExifTags.Base.ExifImageWidth not in exif.get_ifd(EXIF)
    assert ExifTags.Base.Orientation not in exif
    found = back.info.get("xmp") or back.info["XML:com.adobe.xmp"].encode()
    assert found == b"<x>Ada</x>"


def test_a_broken_block_of_metadata_does_not_spoil_the_picture() -> None:
    data = encoded(Image.fromarray(COLOURS), "PNG", exif=b"Exif\0\0not really")
    assert_array_equal(read(data, keep_metadata=True).pixels, COLOURS)


def test_the_tags_of_a_tiff_file_are_no_metadata() -> None:
    data = encoded(Image.fromarray(COLOURS), "TIFF", compression="tiff_lzw")
    assert read(data, keep_metadata=True).exif is None


def test_what_moves_is_refused() -> None:
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(images.UnreadableImage, match="more than one frame"):
        read(data)


@pytest.mark.parametrize("suffix", ["", ".gif", ".txt"])
def test_other_formats_are_not_written(suffix: str) -> None:
    with pytest.raises(UserError, match=r"written as \.png"):
        encode(Photograph(COLOURS), suffix)


def test_a_size_that_a_format_does_not_have_is_told() -> None:
    wide = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(UserError, match="16384x1 pixels are too many for WEBP; write a PNG"):
        encode(Photograph(wide), ".webp")
    assert encode(Photograph(wide), ".png")


def test_a_file_reads_as_its_bytes_do(tmp_path: Path) -> None:
    data = encode(Photograph(COLOURS), ".png")
    (tmp_path / "photo.png").write_bytes(data)
    assert_array_equal(read(tmp_path / "photo.png").pixels, read(data).pixels)
