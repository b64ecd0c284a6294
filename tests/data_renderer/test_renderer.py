from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from sparnet.data.renderer import person, render
from sparnet.data.renderer.backdrop import backdrop
from sparnet.data.renderer.frame import Frame
from sparnet.data.renderer.head import Relief, skin_outline
from sparnet.data.renderer.rays import meet
from sparnet.data.renderer.scene import landmark_points
from sparnet.data.renderer.shot import draw_shot

SEED = 7


def test_the_same_draw_gives_the_same_bytes_in_another_process_and_order() -> None:
    here = [hashlib.sha256(render(SEED, p, 1, 64).image.tobytes()).hexdigest() for p in (0, 1, 2)]
    code = (
        "import hashlib; from sparnet.data.renderer import render\n"
        f"for p in (2, 1, 0): print(hashlib.sha256(render({SEED}, p, 1, 64).image.tobytes())"
        ".hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[::-1] == here


def test_the_number_of_threads_does_not_change_the_bytes() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = render(SEED, 3, 0, 128).image
        cv2.setNumThreads(4)
        many = render(SEED, 3, 0, 128).image
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(one, many)


def test_every_number_of_the_key_changes_the_picture() -> None:
    base = render(SEED, 4, 0, 64).image
    for key in ((SEED + 1, 4, 0), (SEED, 5, 0), (SEED, 4, 1)):
        assert (render(*key, 64).image != base).mean() > 0.5


@pytest.mark.parametrize("size", [16, 100, 128, 256])
def test_any_size_gives_rgb_bytes_of_that_size(size: int) -> None:
    made = render(SEED, 5, 0, size)
    assert made.image.shape == (size, size, 3)
    assert made.image.dtype == np.uint8
    assert made.image.flags.c_contiguous
    assert made.landmarks.shape == (5, 2)
    assert made.landmarks.dtype == np.float32
    assert made.person == "p00005"


@pytest.mark.parametrize("key", [(-1, 0, 0, 64), (0, -1, 0, 64), (0, 0, -1, 64), (0, 0, 0, 4)])
def test_impossible_numbers_are_refused(key: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="render needs"):
        render(*key)


@pytest.mark.parametrize("index", [6, 7, 8])
def test_another_size_is_the_same_picture_at_another_scale(index: int) -> None:
    small, large = render(SEED, index, 0, 128), render(SEED, index, 0, 512)
    shrunk = cv2.resize(large.image, (128, 128), interpolation=cv2.INTER_AREA)
    error = np.mean((shrunk.astype(float) - small.image.astype(float)) ** 2)
    assert 10 * np.log10(255**2 / error) > 30
    np.testing.assert_allclose(large.landmarks, (small.landmarks + 0.5) * 4 - 0.5, atol=1e-2)


def test_a_person_stays_the_same_and_people_differ() -> None:
    assert person(SEED, 9) == person(SEED, 9)
    people = [person(SEED, index) for index in range(200)]
    assert len({p.nose.length for p in people}) == 200
    assert 60 < sum(p.masculinity > 0.5 for p in people) < 140
    assert len({p.beard.style for p in people}) == 5
    assert 10 < sum(p.glasses is not None for p in people) < 80
    assert np.ptp([p.skin.melanin for p in people]) > 0.6


def test_pictures_are_well_exposed_and_in_colour() -> None:
    for index in range(12):
        image = render(SEED, index, 2, 64).image.astype(float)
        assert 35 < image.mean() < 200
        assert image.std() > 20
        assert np.abs(image[..., 0] - image[..., 2]).mean() > 4


def test_landmarks_lie_in_the_picture_in_their_order() -> None:
    for index in range(40):
        points = render(SEED, index, 0, 16).landmarks
        assert points.min() > 0
        assert points.max() < 15
        left, right, nose, mouth_left, mouth_right = points
        assert left[0] < nose[0] + 3 < right[0] + 6
        assert left[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < min(mouth_left[1], mouth_right[1])


def test_the_surface_met_at_a_landmark_is_the_landmark() -> None:
    apart = []
    for index in range(20):
        who, shot = person(SEED, index), draw_shot(SEED, index, 0)
        relief = Relief(who, shot.expression)
        points = landmark_points(who, shot.expression, relief)
        frame = Frame.of(shot.pose, (0.0, 1.5, 9.0))
        hit = meet(frame, skin_outline(who), relief, 160)
        column, row = frame.project(points, 160).astype(np.float32).T[..., None]
        met = [cv2.remap(f, column, row, cv2.INTER_LINEAR)[:, 0] for f in (hit.x, hit.y)]
        apart.append(np.hypot(*(np.array(met) - points[:, :2].T)))
    # In a half profile the far corner of the mouth hides behind the cheek.
    assert np.quantile(apart, 0.95) < 0.05


def test_backgrounds_vary_and_keep_to_moderate_colours() -> None:
    scenes = [backdrop(draw_shot(SEED, index, 0).background, 16) for index in range(200)]
    levels = np.array([scene.mean() for scene in scenes])
    chroma = [(scene.max(0) - scene.min(0)).mean() / scene.mean() for scene in scenes]
    assert len({draw_shot(SEED, index, 0).background.kind for index in range(200)}) == 6
    assert np.quantile(levels, 0.9) > 4 * np.quantile(levels, 0.1)
    assert np.quantile(chroma, 0.95) < 1.0


def test_a_pupil_is_darker_than_the_white_beside_it() -> None:
    darker = []
    for index in range(12):
        made = render(SEED, index, 0, 256)
        left, right = made.landmarks[0], made.landmarks[1]
        reach = np.linalg.norm(right - left) / 6.3
        grey = cv2.GaussianBlur(made.image.astype(np.float32).mean(2), (0, 0), 0.15 * reach)
        across = (right - left) / np.linalg.norm(right - left)
        for eye in (left, right):
            spots = [eye + across * reach * step for step in (-1.0, 0.0, 1.0)]
            beside_l, middle, beside_r = (grey[round(float(y)), round(float(x))] for x, y in spots)
            darker.append(middle < max(beside_l, beside_r))
    assert np.mean(darker) >= 0.9
