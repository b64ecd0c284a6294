from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparnet.faces import alignment
from sparnet.faces.detection import Face
from sparnet.faces.framing import MARGIN, Frame


def test_sparnethd_has_ffhq_frames_and_sparnet_upright_squares() -> None:
    assert Frame.usual("sparnethd-attn3d") == Frame("ffhq")
    assert Frame.usual("sparnet-light-attn3d") == Frame("box", MARGIN)


@pytest.mark.parametrize("frame", [Frame("box", 1.3), Frame("ffhq")])
def test_what_is_written_is_read_again(frame: Frame) -> None:
    assert Frame.parse(json.loads(json.dumps(dict(frame.to_json())))) == frame


@pytest.mark.parametrize("content", [None, {}, {"kind": "round", "margin": 1.0}, {"kind": "box"}])
def test_anything_else_says_nothing(content: object) -> None:
    assert Frame.parse(content) is None


def test_a_square_is_as_wide_as_its_margin_and_raised(astronaut_face: Face) -> None:
    left, top, right, bottom = astronaut_face.box
    matrix = Frame("box", 2.0).matrix(astronaut_face, 64)
    assert_allclose(alignment.scale_of(matrix), 64 / (2 * (right - left)), rtol=0.01)
    middle = alignment.transform([((left + right) / 2, (top + bottom) / 2)], matrix)[0]
    assert middle[1] > 32 + 2
    assert abs(middle[0] - 31.5) < 1


def test_an_ffhq_frame_puts_the_points_on_the_template(astronaut_face: Face) -> None:
    matrix = Frame("ffhq").matrix(astronaut_face, 512)
    points = alignment.transform(astronaut_face.points, matrix)
    assert np.linalg.norm(points - alignment.ffhq_template(512), axis=1).mean() < 15
