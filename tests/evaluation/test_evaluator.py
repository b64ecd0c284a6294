from __future__ import annotations

import numpy as np
import pytest

from sparnet.data.pairs import FixedPair
from sparnet.evaluation.evaluator import (
    PSNR_OF_EQUALS,
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


def test_rows_hold_the_metrics_in_the_order_of_the_pairs(pair):
    rows = measure("x", [pair, pair], [pair.bicubic, pair.hr], "official", None)
    assert rows[0].psnr == psnr(pair.bicubic, pair.hr)
    assert (rows[1].psnr, rows[1].ssim) == (PSNR_OF_EQUALS, pytest.approx(1))
    assert [row.identity for row in rows] == [None, None]


def test_a_missing_output_is_an_error(pair):
    with pytest.raises(ValueError, match="zip"):
        measure("x", [pair, pair], [pair.hr], "official", None)


def test_the_original_itself_has_no_landmark_error_and_its_own_identity(pair):
    found = FaceMeasures().measure(pair, pair.hr)
    assert found is not None
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1] == pytest.approx(1)


def test_a_slightly_blurred_face_is_nearer_than_a_badly_blurred_one(pair):
    measures = FaceMeasures()
    slightly, badly = (
        measures.measure(pair, resize(resize(pair.hr, (side, side)), (128, 128)))
        for side in (80, 32)
    )
    assert slightly is not None
    assert badly is not None
    assert slightly[1] > badly[1]


def test_a_picture_without_a_face_has_no_identity(pair):
    assert FaceMeasures().measure(pair, np.full_like(pair.hr, 90)) is None


def test_means_leave_out_what_was_not_measured():
    rows = [
        Row("x", "a", 20.0, 0.5, None, None),
        Row("x", "b", 30.0, 0.7, 0.1, 0.9),
    ]
    summary = summarise(rows)
    assert summary["test/psnr"] == 25.0
    assert summary["test/identity"] == 0.9
    assert summary["test/faces_found"] == 1
    assert summary["test/pictures"] == 2
    assert "test/identity" not in summarise(rows[:1])


def test_the_table_has_a_line_a_row():
    frame = table([Row("x", "a", 20.0, 0.5, None, None)])
    assert list(frame.columns) == ["contender", "id", "psnr", "ssim", "landmark_error", "identity"]
