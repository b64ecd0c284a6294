from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparnet import images
from sparnet.faces import alignment
from sparnet.faces.detection import Face


def matrix_of(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    """Rotate by `angle` degrees, scale, then move by (x, y)."""
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return np.array([[cos, -sin, x], [sin, cos, y]])


def framing(angle: float, scale: float, centre: tuple[float, float], size: int) -> np.ndarray:
    """The matrix that frames the surroundings of `centre`, in size x size."""
    linear = matrix_of(angle, scale, 0, 0)[:, :2]
    return np.column_stack([linear, (size - 1) / 2 - linear @ np.array(centre)])


def ramps(height: int, width: int) -> np.ndarray:
    """A picture whose red is its x and whose green is its y, both over 2."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x / 2, y / 2, 0 * x], axis=2).round().astype(np.uint8)


def dot(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    value = 230 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(value)[..., None], 3, axis=2).astype(np.uint8)


def centroid(image: np.ndarray) -> tuple[float, float]:
    weight = image[..., 0].astype(float)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


def paste(
    photo: np.ndarray, faces: list[np.ndarray], matrices: list[np.ndarray], upscale: int = 1
) -> np.ndarray:
    """Paste what the faces cut by `matrices` were turned into."""
    framed = [
        alignment.crop(photo, matrix, len(face))
        for face, matrix in zip(faces, matrices, strict=True)
    ]
    return alignment.paste_back(photo, framed, faces, matrices, upscale)


@pytest.fixture(scope="module")
def smooth(astronaut: np.ndarray) -> np.ndarray:
    """A photograph without detail that resampling could lose."""
    return cv2.GaussianBlur(astronaut, (0, 0), 4)


@pytest.mark.parametrize("seed", range(5))
def test_similarity_recovers_random_similarities_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix = matrix_of(*random.uniform((-180, 0.05, -900, -900), (180, 20, 900, 900)))
    points = random.uniform(-500, 500, (5, 2))
    found = alignment.similarity(points, alignment.transform(points, matrix))
    assert_allclose(found, matrix, rtol=1e-9, atol=1e-9)


def test_similarity_is_the_least_squares_fit_of_noisy_points() -> None:
    random = np.random.default_rng(0)
    src, dst = random.normal(size=(5, 2)), random.normal(size=(5, 2))
    best = alignment.similarity(src, dst)

    def error(matrix: np.ndarray) -> float:
        return float(((alignment.transform(src, matrix) - dst) ** 2).sum())

    for _ in range(50):
        a, b, x, y = random.normal(scale=0.01, size=4)
        assert error(best + np.array([[a, -b, x], [b, a, y]])) > error(best)


def test_similarity_never_mirrors() -> None:
    points = np.array([(0, 0), (4, 0), (0, 1), (3, 3)], float)
    assert np.linalg.det(alignment.similarity(points, points * (-1, 1))[:, :2]) >= 0


def test_similarity_refuses_points_that_are_all_the_same() -> None:
    with pytest.raises(ValueError, match="two different points"):
        alignment.similarity(np.ones((5, 2)), np.zeros((5, 2)))


def test_a_matrix_and_its_inverse_cancel() -> None:
    matrix = matrix_of(33, 1.7, 20, -5)
    both = alignment.compose(alignment.invert(matrix), matrix)
    assert_allclose(both, np.eye(3)[:2], atol=1e-12)


def test_template_at_other_sizes_marks_the_same_places_of_the_face() -> None:
    face = dot(512, 512, *alignment.ffhq_template(512)[4], sigma=20)
    x, y = centroid(images.resize(face, (128, 128)))
    assert_allclose((x, y), alignment.ffhq_template(128)[4], atol=0.02)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_crop_puts_the_points_of_a_face_on_the_template(
    astronaut: np.ndarray, astronaut_face: Face, size: int
) -> None:
    matrix = alignment.similarity(astronaut_face.points, alignment.ffhq_template(size))
    assert alignment.crop(astronaut, matrix, size).shape == (size, size, 3)
    left = alignment.transform(astronaut_face.left_eye[None], matrix)[0]
    wanted = alignment.ffhq_template(size)[2:4].mean(axis=0)
    assert np.linalg.norm(left - wanted) < 0.04 * size


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (0, 0.4), (25, 1.7), (-70, 0.21)])
def test_crop_shows_each_pixel_where_the_matrix_says(angle: float, scale: float) -> None:
    matrix = framing(angle, scale, (240.3, 251.8), 96)
    face = alignment.crop(ramps(500, 500), matrix, 96).astype(float)
    y, x = np.mgrid[:96, :96]
    source = alignment.transform(np.stack([x.ravel(), y.ravel()], 1), alignment.invert(matrix))
    expected = np.clip(source, 0, 499).reshape(96, 96, 2) / 2
    inside = ((source > 15) & (source < 485)).all(axis=1).reshape(96, 96)
    assert np.abs(face[..., :2] - expected)[inside].max() < 1.01
    assert abs((face[..., :2] - expected)[inside].mean()) < 0.05


def test_crop_without_a_change_of_size_or_angle_copies_pixels(astronaut: np.ndarray) -> None:
    face = alignment.crop(astronaut, matrix_of(0, 1, -100, -40), 128)
    assert_array_equal(face, astronaut[40:168, 100:228])


def test_strong_reduction_is_not_aliased() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    face = alignment.crop(stripes, framing(10, 0.08, (400, 400), 48), 48)
    assert np.ptp(face) <= 12
    assert abs(face.mean() - 127.5) < 2


def test_beyond_the_photograph_its_border_is_repeated() -> None:
    white = np.full((60, 80, 3), 255, np.uint8)
    assert (alignment.crop(white, framing(20, 1.3, (0, 0), 128), 128) == 255).all()
    assert (alignment.crop(white, framing(20, 0.1, (79, 59), 128), 128) == 255).all()
    square, _ = alignment.crop_square(white, (-30.0, -30.0, 10.0, 10.0), 64, 1.5)
    assert (square == 255).all()


def test_square_crop_resizes_its_pixels_as_pillow_does(astronaut: np.ndarray) -> None:
    square, matrix = alignment.crop_square(astronaut, (180.0, 80.0, 270.0, 170.0), 128)
    assert_array_equal(square, images.resize(astronaut[80:170, 180:270], (128, 128)))
    corners = alignment.transform([(179.5, 79.5), (269.5, 169.5)], matrix)
    assert_allclose(corners, [(-0.5, -0.5), (127.5, 127.5)], atol=1e-9)


@pytest.mark.parametrize("upscale", [1, 2, 4])
@pytest.mark.parametrize(("angle", "scale"), [(0, 0.2), (17, 1.4), (-40, 2.3)])
def test_a_face_that_was_not_changed_leaves_every_pixel_as_it_was(
    astronaut: np.ndarray, angle: float, scale: float, upscale: int
) -> None:
    matrix = framing(angle, scale, (221.7, 120.2), 64)
    face = alignment.crop(astronaut, matrix, 64)
    expected = images.resize(astronaut, (512 * upscale, 512 * upscale))
    assert_array_equal(paste(astronaut, [face], [matrix], upscale), expected)


def test_detail_that_the_face_is_too_small_to_show_stays(astronaut: np.ndarray) -> None:
    matrix = framing(12, 0.2, (224, 120), 40)
    face = alignment.crop(astronaut, matrix, 40)
    inside = np.s_[100:140, 204:244]
    pasted = paste(astronaut, [np.maximum(face, 20) - 20], [matrix])
    difference = astronaut[inside].astype(int) - pasted[inside]
    assert np.median(difference) == 20
    assert np.std(difference) < 4


@pytest.mark.parametrize(("angle", "scale"), [(9, 1), (-33, 0.6), (50, 1.7)])
def test_the_change_is_put_where_it_was_made_to_a_quarter_of_a_pixel(
    astronaut: np.ndarray, angle: float, scale: float
) -> None:
    """A face with the photograph's own detail, put into a blurred photograph, must fit over it."""
    matrix = framing(angle, scale, (221.7, 120.2), round(scale * 150))
    face = alignment.crop(astronaut, matrix, round(scale * 150))
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 5)
    window = np.s_[96:144, 198:246]
    pasted, sharp = (
        cv2.cvtColor(picture[window], cv2.COLOR_RGB2GRAY).astype(np.float32)
        for picture in (paste(blurred, [face], [matrix]), astronaut)
    )
    shift, _ = cv2.phaseCorrelate(sharp, pasted, cv2.createHanningWindow((48, 48), cv2.CV_32F))
    assert np.hypot(*shift) < 0.25


def test_a_brightened_face_has_no_seam() -> None:
    """The steepest step on the way from inside to outside is that of the feather itself."""
    grey = np.full((300, 300, 3), 100, np.uint8)
    matrix = framing(20, 0.8, (150, 150), 160)
    pasted = paste(grey, [np.full((160, 160, 3), 160, np.uint8)], [matrix]).astype(int)
    steps = max(np.abs(np.diff(pasted, axis=axis)).max() for axis in (0, 1))
    ramp = alignment.FEATHER * 160 / 0.8
    assert steps <= np.ceil(1.5 * 60 / ramp) + 1, "1.5 is the steepest slope of the feather"
    assert pasted[150, 150, 0] == 160


def test_a_face_in_front_hides_the_change_of_the_one_behind() -> None:
    grey = np.full((200, 200, 3), 100, np.uint8)
    faces = [np.full((64, 64, 3), 140, np.uint8), np.full((64, 64, 3), 130, np.uint8)]
    matrices = [framing(0, 0.5, (100, 100), 64), framing(0, 1, (110, 100), 64)]
    assert paste(grey, faces, matrices)[100, 110, 0] == 140, "not both changes"


@pytest.mark.parametrize("upscale", [1, 2, 4])
@pytest.mark.parametrize(("angle", "size"), [(0, 64), (31, 128), (-31, 300)])
def test_a_pasted_face_lies_exactly_where_it_was_cut(upscale: int, angle: float, size: int) -> None:
    matrix = framing(angle, size / 160, (103.4, 88.6), size)
    centre = alignment.transform([(103.4 + 9, 88.6 - 14)], matrix)[0]
    face = dot(size, size, *centre, sigma=size / 16)
    photo = np.zeros((180, 200, 3), np.uint8)
    x, y = centroid(paste(photo, [face], [matrix], upscale))
    offset = 0.5 * (upscale - 1)
    wanted = upscale * 112.4 + offset, upscale * 74.6 + offset
    assert_allclose((x, y), wanted, atol=0.06 * upscale)


def test_the_feather_picks_up_no_black_and_leaves_no_seam() -> None:
    grey = np.full((200, 200, 3), 137, np.uint8)
    matrix = framing(23, 0.7, (100, 100), 64)
    pasted = paste(grey, [np.full((64, 64, 3), 137, np.uint8)], [matrix])
    assert_array_equal(pasted, grey)


def test_the_feather_grows_from_nothing_at_the_edge_to_all_inside() -> None:
    black, white = np.zeros((200, 200, 3), np.uint8), np.full((100, 100, 3), 255, np.uint8)
    pasted = paste(black, [white], [framing(0, 1, (99.5, 99.5), 100)])
    row = pasted[100, :, 0].astype(int)
    assert row[50] <= 2
    assert (np.diff(row[50:60]) > 0).all()
    assert (row[60:140] == 255).all()
    assert_array_equal(row, row[::-1])
    assert not pasted[:50].any()


def test_pixels_outside_every_face_are_not_touched(astronaut: np.ndarray) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    before = astronaut.copy()
    pasted = paste(astronaut, [face], [framing(45, 1, (250, 250), 64)])
    assert_array_equal(pasted[:200], astronaut[:200])
    assert_array_equal(pasted[:, 300:], astronaut[:, 300:])
    assert_array_equal(astronaut, before)


def test_the_larger_of_two_overlapping_faces_lies_on_top() -> None:
    photo = np.zeros((200, 200, 3), np.uint8)
    large, small = np.full((64, 64, 3), 200, np.uint8), np.full((64, 64, 3), 50, np.uint8)
    matrices = [framing(0, 0.5, (100, 100), 64), framing(0, 1, (100, 100), 64)]
    first = paste(photo, [large, small], matrices)
    second = paste(photo, [small, large], matrices[::-1])
    assert first[100, 100, 0] == 200
    assert_array_equal(first, second)


def test_a_face_at_the_corner_is_pasted_as_far_as_the_photograph_goes(smooth: np.ndarray) -> None:
    matrix = framing(12, 1.5, (5, 8), 200)
    face = alignment.crop(smooth, matrix, 200)
    assert_array_equal(paste(smooth, [face], [matrix]), smooth)
    assert paste(smooth, [np.zeros_like(face)], [matrix])[0, 0].max() <= 1


def test_a_face_wholly_outside_changes_nothing(smooth: np.ndarray) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    for centre in ((-500, 40), (40, 900)):
        pasted = paste(smooth, [face], [framing(5, 1, centre, 64)])
        assert_array_equal(pasted, smooth)
