"""Photographs as files, through the command: what is written, what is told, what it exits with."""

from __future__ import annotations

import os
import resource
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import Done
from PIL import Image

from sparnet import images
from sparnet.errors import UserError
from sparnet.inference import enhancing, planning

Run = Callable[..., Done]


@pytest.fixture
def head(astronaut: np.ndarray) -> np.ndarray:
    return astronaut[0:256, 96:352]


def put(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def bomb() -> bytes:
    """300 megapixels of one bit each in 40 kB."""
    rows = zlib.compress(bytes(15_000 * (20_000 // 8 + 1)), 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = (20_000).to_bytes(4, "big") + (15_000).to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def told(done: Done, code: int) -> str:
    """The only line on standard error of a command that ended with `code`."""
    assert done.returncode == code, done.stderr
    [line] = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("name", ["out.png", "out.JPG", "out.webp", "new/folder/out.png"])
def test_one_photograph_becomes_the_file_that_is_named(
    enhance: Run, tmp_path: Path, head: np.ndarray, name: str
) -> None:
    put(tmp_path / "head.png", head)
    done = enhance("head.png", "-o", name, "--upscale", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{name}: 1 face(s) restored\n"
    assert images.read(tmp_path / name).shape == (512, 512, 3)


def test_a_folder_is_restored_beside_its_failures(
    enhance: Run, tmp_path: Path, head: np.ndarray
) -> None:
    put(tmp_path / "in/a.png", head)
    put(tmp_path / "in/sub/b.bmp", head)
    put(tmp_path / "in/empty.png", np.full((24, 24, 3), 90, np.uint8))
    (tmp_path / "in/cut.jpg").write_bytes((tmp_path / "in/a.png").read_bytes()[:3000])
    (tmp_path / "in/notes.txt").write_text("no picture")
    for jobs in (1, 2):
        done = enhance("in", "-o", "out", "--jobs", jobs, "--overwrite")
        assert done.returncode == 1
        assert "out/a.png: 1 face(s) restored" in done.stdout
        assert "2 of 4 pictures restored, 2 failed" in done.stdout
        assert "error: in/empty.png: no face was found" in done.stderr
        assert "error: in/cut.jpg: damaged picture" in done.stderr
        written = sorted(path.relative_to(tmp_path) for path in (tmp_path / "out").rglob("*.*"))
        assert written == [Path("out/a.png"), Path("out/sub/b.png")]


def test_patterns_and_results_within_the_folder(
    enhance: Run, tmp_path: Path, head: np.ndarray
) -> None:
    put(tmp_path / "in/a.png", head)
    put(tmp_path / "in/b.png", head)
    assert enhance("in/*.png", "-o", "in/out").returncode == 0
    assert sorted(path.name for path in (tmp_path / "in/out").iterdir()) == ["a.png", "b.png"]
    again = enhance("in", "-o", "in/out", "--overwrite")
    assert "2 of 2 pictures restored" in again.stdout, "results are not restored again"


def test_a_picture_without_a_face_is_never_a_result(enhance: Run, tmp_path: Path) -> None:
    put(tmp_path / "empty.png", np.full((24, 24, 3), 90, np.uint8))
    assert "no face was found" in told(enhance("empty.png", "-o", "out.png"), 2)
    allowed = enhance("empty.png", "-o", "out.png", "--allow-no-face")
    assert told(allowed, 0).startswith("no result: empty.png: no face")
    assert not (tmp_path / "out.png").exists()


def test_faces_only_and_sheets(enhance: Run, tmp_path: Path, head: np.ndarray) -> None:
    put(tmp_path / "two.png", np.concatenate([head, head], axis=1))
    assert enhance("two.png", "-o", "faces", "--faces-only").returncode == 0
    faces = sorted((tmp_path / "faces").iterdir())
    assert [face.name for face in faces] == ["two-1.png", "two-2.png"]
    assert images.read(faces[0]).shape == (64, 64, 3)
    assert enhance("two.png", "-o", "sheet.png", "--no-paste").returncode == 0
    assert images.read(tmp_path / "sheet.png").shape[0] > 2 * 64


def test_a_face_that_is_not_trusted_is_told(enhance: Run, tmp_path: Path, head: np.ndarray) -> None:
    put(tmp_path / "small.png", images.resize(head, (64, 64)))
    line = told(enhance("small.png", "-o", "out.png", "--min-confidence", 0.9), 2)
    assert "confidence of 0.9: the best has 0." in line
    assert "(small)" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a picture", "not a picture in"),
        (b"", "not a picture in"),
        (images.encode_png(np.zeros((64, 64, 3), np.uint8))[:-30], "damaged picture"),
        (bomb(), "more than 64000000 pixels"),
    ],
    ids=["text", "empty", "truncated", "bomb"],
)
def test_what_is_no_picture_is_one_line_and_no_file(
    enhance: Run, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "in.png").write_bytes(content)
    assert message in told(enhance("in.png", "-o", "out.png"), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png", "-o", "out.png"), "none.png: no such file or folder"),
        (("*.jpg", "-o", "out"), "*.jpg: no such file or folder"),
        (("nothing", "-o", "out"), "nothing: no pictures in this folder"),
        (("a.png", "-o", "out.gif"), "pictures are written as .png"),
        (("a.png", "-o", "a.png", "--overwrite"), "is a picture to restore"),
        (("a.png", "-o", "b.png"), "b.png: exists; --overwrite replaces it"),
        (("a.png", "b.png", "-o", "b.png"), "b.png: is a file; name a folder"),
        (("a.png", "-o", "a.png/out.png"), "cannot be written"),
        (("a.png", "a.bmp", "-o", "out"), "would both become out/a.png"),
        (("a.png", "-o", "out.png", "--upscale", "7"), "upscale 7: must be 1, 2, 3 or 4"),
        (("a.png", "-o", "out.png", "--upscale", "2", "--aligned"), "--upscale enlarges"),
        (("a.png", "-o", "out.png", "--faces-only", "--no-paste"), "choose one"),
        (("a.png", "-o", "out.png", "--min-confidence", "2"), "must be from 0 to 1"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    enhance: Run, tmp_path: Path, head: np.ndarray, arguments: tuple[str, ...], message: str
) -> None:
    for name in ("a.png", "b.png", "a.bmp"):
        put(tmp_path / name, head)
    (tmp_path / "nothing").mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert message in told(enhance(*arguments), 2)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    enhance: Run, tmp_path: Path, head: np.ndarray
) -> None:
    put(tmp_path / "head.png", head)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        done = enhance("head.png", "-o", "out.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "out.png: cannot be written (File too large)" in told(done, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["head.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(
    enhance: Run, tmp_path: Path, head: np.ndarray
) -> None:
    put(tmp_path / "head.png", head).chmod(0)
    assert "Permission denied" in told(enhance("head.png", "-o", "out.png"), 2)


def test_the_position_of_the_camera_is_not_passed_on_unasked(
    enhance: Run, tmp_path: Path, head: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x013B] = "Ada"
    Image.fromarray(head).save(tmp_path / "head.jpg", exif=exif)
    assert enhance("head.jpg", "-o", "bare.jpg").returncode == 0
    assert enhance("head.jpg", "-o", "told.jpg", "--keep-metadata").returncode == 0
    assert not Image.open(tmp_path / "bare.jpg").getexif()
    assert Image.open(tmp_path / "told.jpg").getexif()[0x013B] == "Ada"


class Deadly:
    """Ends the process that it is sent to."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)


def test_a_process_that_is_ended_is_told_in_one_line(weights: Path) -> None:
    tasks = [planning.Task(Deadly(), Path("out.png"))]
    with pytest.raises(UserError, match=r"--jobs.* may help"):
        list(enhancing.enhance(tasks, enhancing.Wishes(weights), jobs=2))
