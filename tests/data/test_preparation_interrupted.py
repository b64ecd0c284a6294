"""A preparation that is ended in the middle, and a collection that grows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sparnet.config import FolderSource, Prepare, Sizes
from sparnet.data.download import download
from sparnet.data.preparation import prepare
from sparnet.data.sources import Folder
from sparnet.images import encode_png

SETTINGS = Prepare(sizes=Sizes(sparnet=32, sparnethd=32), val=0.3, test=0.3)
PROGRAM = """
import sys
from pathlib import Path
from sparnet.config import Prepare, Sizes
from sparnet.data.preparation import memory, prepare
memory.PICTURES_PER_PART = 20
settings = Prepare(sizes=Sizes(sparnet=32, sparnethd=32), val=0.3, test=0.3)
root = Path(sys.argv[1])
prepare(root / "raw", root / "out", settings, 0, 0, root / "state")
"""


def fill(root: Path, start: int, stop: int) -> None:
    (root / "pictures").mkdir(exist_ok=True)
    generator = np.random.default_rng(start)
    for index in range(start, stop):
        pixels = generator.integers(0, 256, (70, 64, 3), dtype=np.uint8)
        (root / "pictures" / f"{index:03d}.png").write_bytes(encode_png(pixels))
    block = FolderSource(path=str(root / "pictures"), person_pattern=None)
    download(Folder(block, 0), root / "raw", shard_size=50)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def looked_at(shown: str) -> int:
    (line,) = (line for line in shown.splitlines() if line.startswith("look at pictures:"))
    return int(line.split()[3])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path, 0, 200)
    return tmp_path


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(root / "raw", root / "never_stopped", SETTINGS, 0, 0, root / "other_state")
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)])
    while not list((root / "state").glob("*/*.parquet")):
        assert child.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (root / "out").exists()
    capsys.readouterr()
    prepare(root / "raw", root / "out", SETTINGS, 0, 0, root / "state")
    assert 0 < looked_at(capsys.readouterr().err) <= 180
    assert contents(root / "out") == contents(root / "never_stopped")


def test_only_new_pictures_are_looked_at(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root / "raw", root / "before", SETTINGS, 0, 0, root / "state")
    fill(root, 200, 207)
    capsys.readouterr()
    prepare(root / "raw", root / "after", SETTINGS, 0, 0, root / "state")
    assert looked_at(capsys.readouterr().err) == 7
    prepare(root / "raw", root / "anew", SETTINGS, 0, 0, root / "anew_state")
    assert contents(root / "after") == contents(root / "anew")


def test_other_limits_need_no_new_look(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root / "raw", root / "out", SETTINGS, 0, 0, root / "state")
    capsys.readouterr()
    stricter = SETTINGS.model_copy(update={"min_side": 64, "near_duplicates": 10})
    prepare(root / "raw", root / "out", stricter, 0, 0, root / "state")
    assert looked_at(capsys.readouterr().err) == 0


def test_a_damaged_table_is_made_anew(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root / "raw", root / "out", SETTINGS, 0, 0, root / "state")
    before = contents(root / "out")
    (part,) = (root / "state").glob("*/*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    capsys.readouterr()
    prepare(root / "raw", root / "out", SETTINGS, 0, 0, root / "state")
    assert looked_at(capsys.readouterr().err) == 200
    assert contents(root / "out") == before


def test_what_another_detector_saw_is_forgotten_when_nobody_asks_for_it(root: Path) -> None:
    stale, fresh = (root / "state" / name for name in ("0123456789abcdef", "fedcba9876543210"))
    for folder in (stale, fresh):
        folder.mkdir(parents=True)
        (folder / "part.parquet").write_bytes(b"old")
    month_ago = time.time() - 32 * 24 * 3600
    os.utime(stale, (month_ago, month_ago))
    prepare(root / "raw", root / "out", SETTINGS, 0, 0, root / "state")
    assert not stale.exists()
    assert fresh.exists()
