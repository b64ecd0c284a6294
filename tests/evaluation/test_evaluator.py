from __future__ import annotations

import numpy as np
import pytest

from sparnet.data.pairs import FixedPair
from sparnet.evaluation.evaluator import (
    PSNR_OF_EQUALS,
    FaceMeasure,
    FaceMeasures,
    Row,
    measure,
    summarise,
    table,
)
from sparnet.evaluation.metrics import psnr
from sparnet.images import resize


@pytest.fixture(scope="module")
def pair(astronaut) -> FixedPair:
    hr = resize(np.ascontiguousarray(astronaut[20:240, 110:330]), (128, 128))
    lr = resize(hr, (16, 16))
    return FixedPair(lr, resize(lr, (128, 128)), hr, "astronaut")


def test_rows_hold_the_metrics_in_the_order_of_the_contenders(pair):
    rows = measure(pair, {"bicubic": pair.bicubic, "perfect": pair.hr}, "official")
    assert [row.contender for row in rows] == ["bicubic", "perfect"]
    assert rows[0].psnr == psnr(pair.bicubic, pair.hr)
    assert (rows[1].psnr, rows[1].ssim) == (PSNR_OF_EQUALS, pytest.approx(1))
    assert [row.identity for row in rows] == [None, None]


def test_a_picture_of_another_size_is_an_error(pair):
    with pytest.raises(ValueError, match="shape"):
        measure(pair, {"x": pair.lr}, "official")


def test_the_original_itself_has_no_landmark_error_and_its_own_identity(pair):
    [found] = FaceMeasures().measure(pair.hr, [pair.hr])
    assert found is not None
    assert found.face_found
    assert found.landmark_error == pytest.approx(0, abs=1e-6)
    assert found.identity == pytest.approx(1)


def test_a_slightly_blurred_face_is_nearer_than_a_badly_blurred_one(pair):
    blurred = [resize(resize(pair.hr, (side, side)), (128, 128)) for side in (80, 32)]
    slightly, badly = FaceMeasures().measure(pair.hr, blurred)
    assert slightly is not None
    assert badly is not None
    assert slightly.identity > badly.identity


def test_a_picture_without_a_face_has_no_identity(pair):
    assert FaceMeasures().measure(pair.hr, [np.full_like(pair.hr, 90)]) == [FaceMeasure(False)]


def test_an_original_without_a_face_is_nobodys_failure(pair):
    empty = np.full_like(pair.hr, 90)
    faceless = FixedPair(pair.lr, pair.bicubic, empty, "faceless")
    [row] = measure(faceless, {"x": pair.hr}, "official", FaceMeasures())
    assert row.face_found is None
    assert row.identity is None


def test_faces_are_compared_where_every_contender_shows_one():
    easy = Row("x", "easy", 30.0, 0.7, True, 0.1, 0.9)
    hard = Row("x", "hard", 20.0, 0.5, True, 0.5, 0.5)
    lost = Row("x", "hard", 20.0, 0.5, False)
    faceless = Row("x", "faceless", 10.0, 0.3, None)
    means = summarise({"weak": [easy, lost, faceless], "strong": [easy, hard, faceless]})
    assert means["weak"]["test/psnr"] == means["strong"]["test/psnr"] == 20.0
    assert [means[name]["test/pictures"] for name in means] == [3, 3]
    assert [means[name]["test/faces_compared"] for name in means] == [1, 1]
    assert [means[name]["test/identity"] for name in means] == [0.9, 0.9]
    assert [means[name]["test/landmark_error"] for name in means] == [0.1, 0.1]
    assert [means[name]["test/faces_found_share"] for name in means] == [0.5, 1.0]


def test_a_mean_over_no_face_is_left_out():
    unlooked, lost = Row("x", "a", 20.0, 0.5), Row("x", "a", 20.0, 0.5, False)
    assert summarise({"x": [unlooked]})["x"].keys() == {"test/pictures", "test/psnr", "test/ssim"}
    means = summarise({"x": [lost]})["x"]
    assert (means["test/faces_found_share"], means["test/faces_compared"]) == (0.0, 0)
    assert "test/identity" not in means


def test_contenders_of_different_length_are_an_error():
    row = Row("x", "a", 20.0, 0.5)
    with pytest.raises(ValueError, match="zip"):
        summarise({"x": [row], "y": [row, row]})


def test_the_table_has_a_line_a_row():
    frame = table([Row("x", "a", 20.0, 0.5)])
    assert list(frame.columns) == [
        "contender",
        "id",
        "psnr",
        "ssim",
        "face_found",
        "landmark_error",
        "identity",
    ]
