"""Videos through the command: what is written, what is told, what it exits with."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import clips
import numpy as np
import pytest
from PIL import Image

from sparnet.inference.video import probing


@pytest.fixture(scope="module")
def head(astronaut: np.ndarray) -> np.ndarray:
    return clips.placed(astronaut, (96, 96), 0.9, 0, 192)[0]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, head: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return clips.make(path, [head] * 6, inputs=clips.sine(0.24))


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_video_is_restored_with_its_sound(enhance, clip: Path, tmp_path: Path) -> None:
    code, out, err = enhance(clip, "-o", "out.mkv", "--upscale", 2, "--crf", 30)
    assert code == 0, err
    assert out == "out.mkv: 6 of 6 frames restored\n"
    result = probing.probe(tmp_path / "out.mkv")
    assert (result.width, result.height, result.frames) == (384, 384, 6)
    assert np.array_equal(clips.sound(tmp_path / "out.mkv"), clips.sound(clip))


def test_a_folder_of_pictures_and_videos(enhance, clip: Path, head, tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    Image.fromarray(head).save(tmp_path / "in/head.png")
    (tmp_path / "in/clip.mp4").write_bytes(clip.read_bytes())
    clips.ffmpeg("-i", clip, "-c", "copy", tmp_path / "in/sub/other.mkv")
    clips.ffmpeg("-i", clip, "-c:v", "mjpeg", "-q:v", 2, tmp_path / "in/old.avi")
    (tmp_path / "in/broken.mov").write_bytes(clip.read_bytes()[:2000])
    code, out, err = enhance("in", "-o", "out")
    assert code == 1
    assert "out/clip.mp4: 6 of 6 frames restored" in out
    assert "4 of 5 pictures and videos restored, 1 failed" in out
    assert "error: in/broken.mov: damaged video (it is cut off)" in err
    assert written(tmp_path / "out") == ["clip.mp4", "head.png", "old.mp4", "sub/other.mkv"]


def test_a_video_without_a_face_is_told_as_a_photograph_is(enhance, tmp_path: Path) -> None:
    clips.make(tmp_path / "in.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 2)
    code, _, err = enhance("in.mp4", "-o", "out.mp4")
    assert code == 2
    assert "error: in.mp4: no face was found in the 2 frames of the video" in err
    code, _, err = enhance("in.mp4", "-o", "out.mp4", "--allow-no-face")
    assert code == 0
    assert "no result: in.mp4: no face" in err
    assert written(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.mp4", "-o", "out.mp4", "--faces-only"), "--faces-only: is for photographs"),
        (("a.mp4", "-o", "out.mp4", "--no-paste"), "--no-paste: is for photographs; a.mp4 is a"),
        (("a.mp4", "-o", "out.mp4", "--aligned"), "--aligned: is for photographs"),
        (("a.mp4", "-o", "out.mp4", "--keep-profile"), "--keep-profile: is for photographs"),
        (("a.mp4", "-o", "out.mp4", "--jobs", 2), "--jobs: videos are restored one after another"),
        (("a.mp4", "-o", "out.mp4", "--crf", 99), "--crf 99: must be from 1 to 51"),
        (("a.mp4", "-o", "out.png"), ".png: videos are written as .mp4"),
        (("a.mp4", "-o", "out.avi"), ".avi: videos are written as .mp4"),
        (("a.mp4", "-o", "a.mp4", "--overwrite"), "is a picture to restore"),
        (("a.mp4", "-o", "b.mp4"), "b.mp4: exists; --overwrite replaces it"),
        (("a.mp4", "-o", "a.mp4/out.mp4"), "cannot be written"),
        (("text.mov", "-o", "out.mov"), "text.mov: not a video in mp4"),
        (("a.png", "-o", "out.png", "--crf", 20), "--crf: there is no video"),
        (("a.png", "-o", "out.mp4"), ".mp4: pictures are written as .png"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    enhance, clip: Path, head, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    Image.fromarray(head).save(tmp_path / "a.png")
    (tmp_path / "text.mov").write_text("no video")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    code, _, err = enhance(*arguments)
    assert code == 2
    [line] = err.strip().splitlines()
    assert message in line
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_full_disk_is_told_and_leaves_no_half_file(enhance, clip: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        code, _, err = enhance(clip, "-o", "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert "error: out.mp4: cannot be written (File too large)" in err
    assert written(tmp_path) == []


@pytest.mark.parametrize(("ended", "codes"), [(signal.SIGINT, {1, 130}), (signal.SIGTERM, {143})])
def test_a_command_that_is_ended_leaves_no_file_and_no_process(
    weights: Path, head, tmp_path: Path, ended: signal.Signals, codes: set[int]
) -> None:
    source = clips.make(tmp_path / "long.mp4", [head] * 400, "-preset", "ultrafast")
    line = [sys.executable, "-m", "sparnet.cli", "enhance", source, "-o", "out.mp4"]
    command = [str(word) for word in [*line, "--model", weights]]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while not (writers := children_with(process.pid, tmp_path / ".out.mp4.")):
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(ended)
        assert process.wait(60) in codes
    assert not any(Path(f"/proc/{writer}").exists() for writer in writers)
    assert written(tmp_path) == ["long.mp4"]


def children_with(process: int, path: Path) -> list[int]:
    """The processes that `process` has started and that have a file of such a path open."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if str(path) in opened(child)]


def opened(process: str) -> list[str]:
    """The files that a process has open, without the random end of their names."""
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:  # it is only beginning, or has ended
        return []
    return [link[: link.rindex(".") + 1] for link in links if "." in link]
