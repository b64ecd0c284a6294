"""Faces of a video: followed, steadied, and restored where they are in every frame."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest

from sparnet.faces import alignment
from sparnet.faces.detection import Detector
from sparnet.faces.following import Follower
from sparnet.images import Picture
from sparnet.inference import Restorer
from sparnet.inference.finding import Finder
from sparnet.inference.restorer import NoFaceFound
from sparnet.inference.video import Summary, restore, restoring, steadying, tracking
from sparnet.inference.video.reading import Frame
from sparnet.inference.video.steadying import FADE, REACH, placed, smoothed, steadied
from sparnet.inference.video.tracking import PATIENCE, Look, Sighting, Tracker

TEMPLATE = alignment.FFHQ_TEMPLATE / 4
"""Five points of a face that is about 70 pixels wide."""

WIDTH = 70.5


class Unchanged:
    """A backend that gives back what it gets, and remembers the batches."""

    name, size = "sparnethd", 64

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, batch: Picture) -> Picture:
        self.batches.append(len(batch))
        return batch


class Brighter(Unchanged):
    def __call__(self, batch: Picture) -> Picture:
        return np.minimum(batch, 215) + np.uint8(40)


class Sharper(Unchanged):
    """Shows by its result how the face was framed."""

    size = 128

    def __call__(self, batch: Picture) -> Picture:
        return np.stack(
            [cv2.addWeighted(face, 3, cv2.GaussianBlur(face, (0, 0), 2), -2, 0) for face in batch]
        )


def restorer(backend: Unchanged) -> Restorer:
    """Quick where there is no face: the thorough detector takes seconds."""
    return Restorer(backend, Detector())


@pytest.fixture(scope="module")
def swaying(astronaut: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noisy frames of a face that moves a quarter of its width in a few frames; the matrices."""
    frames = clips.swaying(astronaut, 24)
    return [(clips.noisy(frame, seed), matrix) for seed, (frame, matrix) in enumerate(frames)]


@pytest.fixture(scope="module")
def seen(swaying: list[tuple[np.ndarray, np.ndarray]]) -> list[Look]:
    tracker = Tracker(Finder(Detector()))
    return [tracker.look(frame) for frame, _ in swaying]


def framing(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Where the corners of a framed face lie in the photograph that `matrix` has moved."""
    back = alignment.invert(alignment.similarity(points, alignment.FFHQ_TEMPLATE))
    corners = alignment.transform([(100, 100), (412, 100), (100, 412), (412, 412)], back)
    return alignment.transform(corners, alignment.invert(np.asarray(matrix)))


def wandering(framings: list[np.ndarray]) -> tuple[float, float]:
    """How far framings are off their mean, and how much that changes from one to the next, in
    pixels of the photograph, on average and at most."""
    off = np.array(framings) - np.mean(framings, axis=0)
    distances = np.linalg.norm(off, axis=2)
    jitter = np.linalg.norm(np.diff(off, axis=0), axis=2)
    return float(jitter.mean()), float(distances.max())


def test_a_moving_face_is_framed_where_it_is_and_never_behind(
    swaying: list[tuple[np.ndarray, np.ndarray]], seen: list[Look]
) -> None:
    """The face is about 100 pixels wide, and moves 3.3 pixels a frame on average."""
    assert all(list(look.seen) == [0] for look in seen)
    faces = [face for item in steadied(zip(seen, seen, strict=True)) for face in item.faces]
    matrices = [matrix for _, matrix in swaying]
    steady = wandering([framing(f.points, m) for f, m in zip(faces, matrices, strict=True)])
    raw = wandering(
        [framing(look.seen[0].points, m) for look, m in zip(seen, matrices, strict=True)]
    )
    assert steady[1] < 1.0, "pixels from where it should be, at worst"
    assert steady[0] < 0.7 * raw[0]


def test_a_still_face_under_noise_is_framed_as_if_it_were_held(astronaut: np.ndarray) -> None:
    """What the restorer sees flickers less than when each frame is looked at by itself."""
    still, matrix = clips.placed(astronaut, (128, 128), 1, 0)
    frames = [clips.noisy(still, seed) for seed in range(20)]
    tracker = Tracker(Finder(Detector()))
    looks = [tracker.look(frame) for frame in frames]
    faces = [face for item in steadied(zip(looks, looks, strict=True)) for face in item.faces]
    detector = Detector()
    alone = [detector.detect(frame)[0].points for frame in frames[:8]]
    steady = [framing(face.points, matrix) for face in faces]
    each = [framing(points, matrix) for points in alone]
    assert wandering(steady)[0] < 0.1 * wandering(each)[0]

    def flicker(points: list[np.ndarray]) -> float:
        """Mean absolute difference of restored frames that follow each other."""
        results = [changed(still, those) for those in points]
        return float(np.abs(np.diff(np.array(results), axis=0)).mean())

    def changed(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        matrix = alignment.similarity(points, alignment.ffhq_template(128))
        face = alignment.crop(frame, matrix, 128)
        pasted = alignment.paste_back(frame, [face], list(Sharper()(face[None])), [matrix])
        return pasted.astype(float)

    assert flicker([face.points for face in faces]) < 0.25 * flicker(alone)


@pytest.mark.parametrize("speed", [0.0, 1.0, 5.0])
def test_steady_motion_is_not_changed_by_smoothing(speed: float) -> None:
    offsets = np.arange(-REACH, REACH + 1)
    points = TEMPLATE + speed * offsets[:, None, None]
    assert np.abs(smoothed(offsets, points) - TEMPLATE).max() < 1e-6
    ended = offsets <= 0
    assert np.abs(smoothed(offsets[ended], points[ended]) - TEMPLATE).max() < 1e-6


def test_a_face_that_turns_back_is_followed() -> None:
    """To and fro by a third of its width once a second, at 25 frames a second."""
    times = np.arange(60)
    shift = WIDTH / 3 * np.sin(2 * np.pi * times / 25)
    seen = TEMPLATE + shift[:, None, None]
    for time in range(REACH, 60 - REACH):
        near = np.arange(-REACH, REACH + 1)
        error = smoothed(near, seen[time + near]) - seen[time]
        assert np.abs(error).max() < 0.005 * WIDTH


def looks(*runs: tuple[int, set[int]], scene: int = 0) -> list[Look]:
    """So many frames with these faces, one run after another."""
    sighting = Sighting(TEMPLATE, 1.0)
    return [
        Look(scene, dict.fromkeys(numbers, sighting))
        for count, numbers in runs
        for _ in range(count)
    ]


def opacities(all_looks: list[Look], number: int = 0) -> list[float]:
    faces = (item.faces for item in steadied(zip(all_looks, all_looks, strict=True)))
    return [sum(face.opacity for face in those if face.number == number) for those in faces]


def test_a_face_fades_in_and_out_where_it_comes_and_goes_within_a_scene() -> None:
    shown = opacities(looks((10, set()), (20, {0}), (10, set())))
    ramp = [(step + 1) / (FADE + 1) for step in range(FADE)]
    assert shown == [0] * 10 + ramp + [1] * (20 - 2 * FADE) + ramp[::-1] + [0] * 10


def test_a_face_is_whole_from_the_first_frame_of_a_scene_to_the_last() -> None:
    scenes = looks((12, {0})) + looks((12, {1}), scene=1)
    assert opacities(scenes, 0) == [1] * 12 + [0] * 12
    assert opacities(scenes, 1) == [0] * 12 + [1] * 12


def test_a_face_that_is_out_of_sight_for_a_moment_is_still_restored() -> None:
    assert opacities(looks((20, {0}), (PATIENCE, set()), (20, {0}))) == [1] * (40 + PATIENCE)


def test_what_is_taken_for_a_face_in_passing_is_left() -> None:
    assert not any(opacities(looks((10, set()), (2, {0}), (10, set()))))
    assert opacities(looks((1, {0}))) == [1], "a video may have one frame only"


def test_faces_that_are_not_trusted_are_left() -> None:
    doubtful = [Look(0, {0: Sighting(TEMPLATE, 0.4)}) for _ in range(9)]
    assert placed(doubtful, 4, min_confidence=0.5) == []
    [face] = placed(doubtful, 4, min_confidence=0.3)
    assert face.opacity == 1
    sure = [Look(0, {0: Sighting(TEMPLATE, 1.0)})]
    assert placed(sure, 0, min_confidence=1.0)[0].opacity == 1


def test_a_cut_is_told_from_motion_noise_and_light(astronaut: np.ndarray) -> None:
    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return tracking.difference(tracking.shades(one), tracking.shades(other))

    frames = [frame for frame, _ in clips.swaying(astronaut, 6)]
    assert apart(frames[0], frames[2]) < tracking.CUT / 2
    assert apart(frames[0], clips.noisy(frames[0], 0, sigma=20)) < tracking.CUT / 2
    assert apart(frames[0], np.minimum(frames[0], 240) + np.uint8(15)) < tracking.CUT
    other = np.ascontiguousarray(255 - frames[0])
    assert apart(frames[0], other) > tracking.CUT


def test_after_a_cut_the_faces_are_others(astronaut: np.ndarray) -> None:
    first, _ = clips.placed(astronaut, (128, 128), 1, 0)
    second, _ = clips.placed(255 - astronaut // 2, (140, 120), 0.9, 0)
    tracker = Tracker(Finder(Detector()))
    told = [tracker.look(frame) for frame in (first, first, second, second)]
    assert [look.scene for look in told] == [0, 0, 1, 1]
    assert list(told[0].seen) == list(told[1].seen) == [0]
    assert 0 not in told[2].seen


def test_a_face_that_leaves_and_comes_back_is_found_again(astronaut: np.ndarray) -> None:
    here, _ = clips.placed(astronaut, (128, 128), 1, 0)
    gone = here.copy()
    gone[60:190, 70:190] = cv2.GaussianBlur(here, (0, 0), 25)[60:190, 70:190]
    tracker = Tracker(Finder(Detector()))
    told = [tracker.look(frame) for frame in [here] * 4 + [gone] * 12 + [here] * 16]
    assert {look.scene for look in told} == {0}
    assert list(told[3].seen) == [0]
    assert list(told[4 + PATIENCE].seen) == []
    assert list(told[-1].seen) == [1]


def test_two_faces_keep_their_numbers(astronaut: np.ndarray) -> None:
    tracker = Tracker(Finder(Detector()))
    for step in range(tracking.SEARCH_EVERY + 2):
        left, _ = clips.placed(astronaut, (110 + 3 * step, 128), 0.8, 0)
        right, _ = clips.placed(astronaut, (150 - 3 * step, 128), 0.9, 0)
        told = tracker.look(np.concatenate([left, right], axis=1))
        assert sorted(told.seen) == [0, 1]
        assert told.seen[0].points[4, 0] > 256 > told.seen[1].points[4, 0]


def test_a_face_is_followed_past_where_an_upright_look_would_lose_it(
    astronaut: np.ndarray,
) -> None:
    follower, detector = Follower(), Detector()
    points = None
    for degrees in range(0, 100, 6):
        frame, matrix = clips.placed(astronaut, (128, 128), 1, degrees)
        points = detector.detect(frame)[0].points if points is None else points
        face = follower.again(frame, points)
        assert face is not None, degrees
        points = face.points
    truth, _ = clips.placed(astronaut, (128, 128), 1, 0)
    upright = alignment.transform(
        detector.detect(truth)[0].points,
        alignment.invert(clips.placed(astronaut, (128, 128), 1, 0)[1]),
    )
    expected = alignment.transform(upright, matrix)
    assert np.abs(points - expected).mean() < 1.5


def test_a_large_face_is_followed_as_well(astronaut: np.ndarray) -> None:
    frame = cv2.resize(astronaut, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    [face] = Detector().detect(astronaut)
    again = Follower().again(frame, 4 * face.points + 1.5)
    assert again is not None
    assert np.abs(again.points - (4 * face.points + 1.5)).mean() < 4


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("clips") / "swaying.mp4"
    return clips.make(path, [frame for frame, _ in clips.swaying(astronaut, 20)])


@pytest.mark.parametrize("name", ["sparnet", "sparnethd"])
def test_a_network_that_changes_nothing_gives_the_video_back(
    clip: Path, tmp_path: Path, name: str
) -> None:
    backend = Unchanged()
    backend.name = name
    done = restore(clip, tmp_path / "out.mp4", restorer(backend), crf=4)
    assert done == Summary(frames=20, restored=20, faces=1)
    assert sum(backend.batches) == 20
    assert max(backend.batches) == restoring.BATCH
    for after, before in zip(clips.read(tmp_path / "out.mp4"), clips.read(clip), strict=True):
        assert np.abs(after.pixels.astype(int) - before.pixels).mean() < 1.5


def test_the_face_is_restored_where_it_is_and_nothing_else(clip: Path, tmp_path: Path) -> None:
    restore(clip, tmp_path / "out.mp4", restorer(Brighter()), crf=4, upscale=2)
    frames = zip(clips.read(tmp_path / "out.mp4"), clips.read(clip), strict=True)
    for time, (after, before) in enumerate(frames):
        assert after.pixels.shape == (512, 512, 3)
        angle = 2 * np.pi * time / 48
        x, y = int(128 + 25 * np.sin(angle)), int(128 + 12 * np.cos(2 * angle))
        change = cv2.resize(after.pixels, (256, 256), interpolation=cv2.INTER_AREA)
        change = change.astype(int) - before.pixels
        assert np.median(change[y - 15 : y + 15, x - 15 : x + 15]) == pytest.approx(40, abs=4)
        assert np.abs(change[235:, :30]).mean() < 4


def test_frames_without_a_face_stay_as_they_are(astronaut: np.ndarray, tmp_path: Path) -> None:
    here, _ = clips.placed(astronaut, (128, 128), 1, 0)
    empty = np.ascontiguousarray(255 - here)
    source = clips.make(tmp_path / "in.mp4", [here] * 6 + [empty] * 4)
    done = restore(source, tmp_path / "out.mp4", restorer(Brighter()), crf=4)
    assert done == Summary(frames=10, restored=6, faces=1)
    pairs = list(zip(clips.read(tmp_path / "out.mp4"), clips.read(source), strict=True))
    for time, (after, before) in enumerate(pairs):
        change = np.abs(after.pixels.astype(int) - before.pixels).mean()
        assert change > 3 if time < 6 else change < 1.5


def test_a_video_without_a_face_is_never_a_result(tmp_path: Path) -> None:
    source = clips.make(tmp_path / "in.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 4)
    with pytest.raises(NoFaceFound, match="no face was found in the 4 frames"):
        restore(source, tmp_path / "out.mp4", restorer(Unchanged()))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_few_frames_are_held_however_long_the_video_is() -> None:
    """Counted where frames are read, while they go through everything that keeps some."""
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    most = 0
    gc.disable()
    try:

        def frames() -> Iterator[tuple[Frame, Look]]:
            nonlocal most
            look = Look(0, {})
            for time in range(300):
                frame = Frame(np.zeros((8, 8, 3), np.uint8), time, Fraction(1, 25))
                alive.add(frame)
                most = max(most, len(alive))
                yield frame, look
                del frame

        painter = restoring.Painter(Restorer(Unchanged()))
        assert sum(1 for _ in painter.painted(steadied(frames()))) == 300
    finally:
        gc.enable()
    assert most <= steadying.REACH + 2 * restoring.BATCH + 2
