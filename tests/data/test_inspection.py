"""Each measure catches its defect and spares sound pictures.

Rates are asked where real photographs are at hand; rendered faces and the astronaut always are.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from blemished import (
    ENLARGERS,
    FACE,
    barred,
    cartoon,
    enlarged,
    greyed,
    jpeg,
    square,
    tiled,
    wrecked,
    written_over,
)

from sparnet.config import Photographs
from sparnet.data.inspection import Inspection, inspect
from sparnet.data.inspection.overlay import watermark
from sparnet.data.renderer import render
from sparnet.images import Picture, read, resize

LIMITS = Photographs()
DRAWINGS = (Path(__file__).parent / "wild_drawings.txt").read_text().split()
COLOURS = [(0, 0, 0), (255, 255, 255), (180, 40, 90)]
WORDS = ["SAMPLE PHOTO", "shutterstock", "www.photos.com"]
FALSE_ALARMS = 0.02


@pytest.fixture(scope="module")
def portrait(astronaut: Picture) -> Picture:
    """A real photograph of a head, sound in every respect, 256x256."""
    return np.ascontiguousarray(astronaut[20:276, 100:356])


@pytest.fixture(scope="module")
def rendered() -> list[Picture]:
    return [render(1, person, 0, 160).image for person in range(12)]


@pytest.fixture(scope="module")
def wild(shared: Path) -> list[Picture]:
    """A sample of real photographs as found; drawings are left out."""
    files = sorted(path for path in (shared / "faces/wild").iterdir() if path.name not in DRAWINGS)
    return [read(path) for path in random.Random(0).sample(files, 120)]


@pytest.fixture(scope="module")
def crops(shared: Path) -> list[Picture]:
    """A sample of tight grey crops."""
    files = sorted((shared / "faces/lfw_gray").iterdir())
    return [read(path) for path in random.Random(0).sample(files, 60)]


@pytest.fixture(scope="module")
def fine(wild: list[Picture]) -> list[Picture]:
    """Real photographs whose pixels all hold detail: reduced to a third or less."""
    return [reduced(picture, 96) for picture in wild if min(picture.shape[:2]) >= 288]


def reduced(picture: Picture, side: int) -> Picture:
    return resize(square(picture), (side, side), "lanczos")


def share(pictures: list[Picture], measure: str, limit: float | None) -> float:
    """Of the pictures those above the limit."""
    return float(np.mean([getattr(inspect(picture), measure) > limit for picture in pictures]))


def test_a_sound_photograph_passes_every_limit(portrait: Picture) -> None:
    found = inspect(portrait, face=(76, 46, 174, 170))
    assert found.drawn < 0.05
    assert found.letterbox == 0
    assert found.bandwidth > 0.6
    assert found.blockiness < 0.05
    assert found.watermark < 0.3
    assert not found.grey


def test_light_is_that_of_the_face(astronaut: Picture) -> None:
    left, top, right, bottom = FACE
    dark = astronaut.copy()
    dark[top:bottom, left:right] //= 4
    assert inspect(dark, FACE).brightness < 0.5 * inspect(astronaut, FACE).brightness
    assert inspect(dark, FACE).contrast < 0.5 * inspect(astronaut, FACE).contrast
    assert inspect(dark).brightness > 0.6 * inspect(astronaut).brightness


def test_a_picture_of_one_colour_has_nothing_in_it() -> None:
    found = inspect(np.full((80, 60, 3), 77, np.uint8))
    assert found == Inspection(
        brightness=82.1294,
        contrast=0.0,
        sharpness=0.0,
        saturation=0.0,
        grey=True,
        drawn=1.0,
        letterbox=1.0,
        bandwidth=0.0,
        blockiness=0.0,
        watermark=0.0,
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 9), (33, 32), (40, 300)])
def test_pictures_of_any_shape_are_inspected(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for box in (None, (0, 0, shape[1], shape[0]), (-20, -30, 2, 3), (90, 400, 95, 500)):
        found = inspect(picture, box)
        for name in ("drawn", "letterbox", "bandwidth", "blockiness", "watermark", "saturation"):
            assert 0 <= getattr(found, name) <= 1


def test_blurred_faces_have_less_sharpness_whatever_their_contrast(portrait: Picture) -> None:
    soft = resize(reduced(portrait, 24), (256, 256))
    pale = (portrait // 3 + 80).astype(np.uint8)
    assert inspect(soft).sharpness < 0.25 * inspect(portrait).sharpness
    assert inspect(pale).sharpness == pytest.approx(inspect(portrait).sharpness, rel=0.1)


def test_cartoons_are_drawn_and_a_face_is_not(portrait: Picture) -> None:
    cartoons = [cartoon(number) for number in range(12)]
    assert share(cartoons, "drawn", LIMITS.max_drawn) == 1
    assert share([jpeg(each, 40) for each in cartoons], "drawn", LIMITS.max_drawn) == 1
    assert share([reduced(each, 100) for each in cartoons], "drawn", LIMITS.max_drawn) == 1
    assert inspect(portrait, face=(76, 46, 174, 170)).drawn < 0.05


def test_real_drawings_are_drawn(shared: Path, wild: list[Picture], crops: list[Picture]) -> None:
    drawings = [read(shared / "faces/wild" / name) for name in DRAWINGS]
    assert share(drawings, "drawn", LIMITS.max_drawn) == 1
    assert share(wild + crops, "drawn", LIMITS.max_drawn) <= FALSE_ALARMS


def test_greyed_pictures_are_grey_after_jpeg(
    rendered: list[Picture], portrait: Picture, wild: list[Picture], crops: list[Picture]
) -> None:
    for picture in [portrait, *rendered, *wild[:20]]:
        assert inspect(greyed(picture)).grey
        assert inspect(greyed(picture, quality=20)).grey
    assert share([portrait, *rendered], "grey", 0.5) == 0
    assert share(wild, "grey", 0.5) <= 0.03  # one or two in a hundred are
    assert share(crops, "grey", 0.5) == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("upright", [False, True])
def test_bars_are_measured(
    rendered: list[Picture], portrait: Picture, colour: tuple[int, int, int], upright: bool
) -> None:
    pictures = [portrait, *(picture for picture in rendered if not inspect(picture).letterbox)]
    for part in (0.06, 0.125):
        for quality in (75, 95):
            each = [jpeg(barred(picture, colour, part, upright), quality) for picture in pictures]
            found = [inspect(picture).letterbox for picture in each]
            assert np.median(found) == pytest.approx(2 * part, abs=0.02)
            assert np.mean(np.abs(np.subtract(found, 2 * part)) < 0.04) >= 0.8


def test_a_single_bar_is_measured(portrait: Picture) -> None:
    picture = portrait.copy()
    picture[:64] = 0
    assert inspect(picture).letterbox == pytest.approx(0.25, abs=0.02)


def test_plain_backgrounds_are_no_bars(wild: list[Picture], crops: list[Picture]) -> None:
    assert share(wild + crops, "letterbox", LIMITS.max_letterbox) <= FALSE_ALARMS


def test_a_head_before_white_has_no_bars(portrait: Picture) -> None:
    picture = np.full((300, 300, 3), 255, np.uint8)
    rows, columns = np.mgrid[:256, :256]
    head = np.hypot((rows - 128) / 120, (columns - 128) / 90) < 1
    picture[40:296, 20:276][head] = portrait[head]
    assert inspect(picture).letterbox == 0


@pytest.mark.parametrize("how", ENLARGERS)
def test_the_bandwidth_of_enlarged_pictures_is_what_they_had(
    how: str, rendered: list[Picture], portrait: Picture
) -> None:
    found = [inspect(enlarged(picture, how)).bandwidth for picture in [portrait, *rendered]]
    assert max(found) <= 0.31
    assert np.median(found) == pytest.approx(0.25, abs=0.03)


def test_enlarged_photographs_are_told_from_fine_ones(fine: list[Picture]) -> None:
    limit = LIMITS.min_bandwidth
    assert share(fine, "bandwidth", limit) >= 1 - FALSE_ALARMS
    for how in ENLARGERS:
        small = [jpeg(enlarged(picture, how, 48), 85) for picture in fine[:25]]
        assert share(small, "bandwidth", limit) <= 0.05


def test_white_noise_is_no_detail(portrait: Picture) -> None:
    noise = np.random.default_rng(0).normal(0, 3, (256, 256, 1))
    noisy = np.clip(enlarged(portrait, "pillow bicubic") + noise, 0, 255).astype(np.uint8)
    assert inspect(noisy).bandwidth < 0.4


@pytest.mark.parametrize("quality", [5, 10])
def test_wrecks_are_blocky_wherever_their_grid_begins(
    quality: int, rendered: list[Picture], portrait: Picture
) -> None:
    for picture in [portrait, *rendered]:
        assert inspect(wrecked(picture, quality)).blockiness > LIMITS.max_blockiness
        assert inspect(jpeg(picture, 90)).blockiness < LIMITS.max_blockiness


def test_real_photographs_are_no_wrecks(wild: list[Picture], fine: list[Picture]) -> None:
    limit = LIMITS.max_blockiness
    assert share(wild + fine, "blockiness", limit) <= FALSE_ALARMS
    for quality in (5, 10):
        wrecks = [wrecked(picture, quality) for picture in wild[:50] + fine]
        assert share(wrecks, "blockiness", limit) >= 0.97


def test_text_laid_over_photographs_is_often_seen(wild: list[Picture]) -> None:
    limit = LIMITS.max_watermark
    large = [picture for picture in wild if min(picture.shape[:2]) >= 180][:30]
    draws = random.Random(0)
    lines = [
        written_over(picture, draws.choice(WORDS), draws.uniform(0.3, 0.6), draws.random() < 0.6)
        for picture in large
    ]
    patterns = [tiled(picture, "preview", draws.uniform(0.3, 0.6)) for picture in large]
    assert share(lines, "watermark", limit) >= 0.4
    assert share(patterns, "watermark", limit) >= 0.4


def test_few_real_photographs_look_written_over(shared: Path) -> None:
    files = sorted((shared / "faces/wild").iterdir())[::4]
    found = [watermark(read(path)) > LIMITS.max_watermark for path in files]
    assert np.mean(found) <= FALSE_ALARMS


def test_text_laid_over_rendered_faces_is_often_seen(rendered: list[Picture]) -> None:
    limit = LIMITS.max_watermark
    lines = [written_over(picture, "www.photos.com", 0.5) for picture in rendered]
    patterns = [tiled(picture, "preview", 0.6) for picture in rendered]
    assert share(lines, "watermark", limit) >= 0.4
    assert share(patterns, "watermark", limit) >= 0.4
    assert share(rendered, "watermark", limit) == 0


def test_the_same_picture_gives_the_same_facts(portrait: Picture) -> None:
    assert inspect(portrait, FACE) == inspect(portrait.copy(), FACE)


def test_a_large_picture_gives_nearly_the_facts_of_a_small_one(astronaut: Picture) -> None:
    large = resize(astronaut, (2048, 2048))
    box = tuple(4.0 * edge for edge in FACE)
    small, big = inspect(astronaut, FACE), inspect(large, box)
    assert big.brightness == pytest.approx(small.brightness, abs=1)
    assert big.contrast == pytest.approx(small.contrast, abs=2)
    assert big.sharpness == pytest.approx(small.sharpness, rel=0.1)
    assert big.saturation == pytest.approx(small.saturation, abs=0.01)
    assert big.letterbox == small.letterbox
    assert big.bandwidth < 0.35 < small.bandwidth
