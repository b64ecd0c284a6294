from __future__ import annotations

import numpy as np
import pytest
import torch

from sparnet import models
from sparnet.errors import UserError
from sparnet.images import Picture, resize
from sparnet.inference import pictures
from sparnet.models.generator import Generator

SMALL = {
    "size": 64,
    "min_channels": 8,
    "max_channels": 16,
    "residual_depth": 6,
    "bottleneck_size": 8,
    "attention_channels": 8,
}
TILE, CAPTION, GAP = 160, 16, 2


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> Picture:
    return resize(np.ascontiguousarray(astronaut[20:240, 110:330]), (64, 64))


def network(**overrides: object) -> Generator:
    torch.manual_seed(0)
    return models.create("sparnet", **{**SMALL, **overrides}).eval()


@pytest.mark.parametrize("attention", ["2d", "3d"])
def test_the_sheet_has_a_tile_a_unit_and_is_nearly_square(face: Picture, attention: str) -> None:
    generator = network(attention=attention)
    assert len(list(generator.units())) == 11
    sheet = pictures.attention_sheet(generator, face)
    rows, columns = 3, 4
    assert sheet.shape == (
        rows * (TILE + CAPTION + GAP) - GAP,
        columns * (TILE + GAP) - GAP,
        3,
    )
    assert np.array_equal(sheet, pictures.attention_sheet(generator, face))


def test_blue_is_where_a_unit_looks_away_and_red_is_where_it_looks(face: Picture) -> None:
    generator = network()
    units = [unit for _, unit in generator.units()]
    for unit, bias in zip(units, (-50.0, 50.0), strict=False):
        assert unit.attention is not None
        torch.nn.init.zeros_(unit.attention.to_map.conv.weight)
        torch.nn.init.constant_(unit.attention.to_map.conv.bias, bias)
    sheet = pictures.attention_sheet(generator, face)
    tops = [sheet[CAPTION : CAPTION + TILE, place * (TILE + GAP) :][:, :TILE] for place in range(3)]
    assert np.array_equal(tops[0], resize(face, (TILE, TILE)))
    away, towards = (top.reshape(-1, 3).mean(0) for top in tops[1:])
    assert away[2] > away[0]
    assert towards[0] > towards[2]


def test_the_network_stays_as_it_was(face: Picture) -> None:
    generator = network().train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    pictures.attention_sheet(generator, face)
    assert generator.training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_a_network_without_attention_is_refused_in_one_line(face: Picture) -> None:
    with pytest.raises(UserError, match="sparnet has no attention"):
        pictures.attention_sheet(network(attention="none"), face)


@pytest.mark.parametrize(("side", "shown"), [(32, 128), (64, 128), (100, 200), (128, 128)])
def test_small_faces_are_enlarged_by_a_whole_factor(side: int, shown: int) -> None:
    generator = np.random.default_rng(0)
    faces = [generator.integers(0, 256, (side, side, 3), np.uint8) for _ in range(3)]
    strip = pictures.face_strip(faces[0][:8, :8], *faces)
    assert strip.shape == (shown + CAPTION, 4 * (shown + GAP) - GAP, 3)
    original = strip[CAPTION:, 3 * (shown + GAP) :]
    factor = shown // side
    assert np.array_equal(original[::factor, ::factor], faces[2])


def test_a_square_shows_the_faces_of_the_strip_in_two_rows() -> None:
    generator = np.random.default_rng(0)
    faces = [generator.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(4)]
    square, strip = pictures.face_square(*faces), pictures.face_strip(*faces)
    row, middle = 128 + CAPTION, 2 * (128 + GAP)
    assert np.array_equal(square[:row], strip[:, : middle - GAP])
    assert np.array_equal(square[row + GAP :], strip[:, middle:])


def test_strips_are_stacked_on_white() -> None:
    row = np.zeros((4, 6, 3), np.uint8)
    stacked = pictures.stack([row, row])
    assert stacked.shape == (10, 6, 3)
    assert (stacked[4:6] == 255).all()
