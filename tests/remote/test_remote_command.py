"""`sparnet remote`, as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stub import KEY, Stub, problem

from sparnet import cli

Run = Callable[..., tuple[int, str, str]]

_WITHIN = 30.0


@pytest.fixture
def remote(
    tmp_path: Path,
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """Run the command in an empty folder of its own, with a URL and a key; code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARNET_URL", stub.url)
    monkeypatch.setenv("SPARNET_KEY", KEY)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sparnet", "remote", *map(str, arguments)])
        try:
            code = cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capfd.readouterr()

    return call


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(Path(name).stem.encode())


def written(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_one_picture_becomes_the_file_that_is_named(remote, stub, tmp_path):
    put(tmp_path, "a.bmp")
    done = remote("enhance", "a.bmp", "-o", "out.jpg", "--upscale", 2, "--match-colour")
    assert done == (0, "out.jpg: 1 face(s) restored by sparnethd\n", "")
    assert (tmp_path / "out.jpg").read_bytes() == b"restored a"
    [asked] = stub.asked
    assert asked.options == {"upscale": "2", "match_colour": "true"}
    assert asked.headers["accept"] == "image/jpeg"


def test_a_folder_goes_on_beside_its_failures(remote, tmp_path):
    put(tmp_path, "in/a.png", "in/sub/b.JPG", "in/c.gif", "in/bad.png", "in/notes.txt", "in/v.mp4")
    code, out, err = remote("enhance", "in", "-o", "out")
    assert code == 1
    assert "error: in/bad.png: what was sent is not a picture (415, request id-1)" in err
    assert out.splitlines()[-1] == "3 of 4 pictures restored, 1 failed"
    names = {"a.png": "a", "sub/b.JPG": "b", "c.png": "c"}
    assert written(tmp_path / "out") == {
        name: f"restored {stem}".encode() for name, stem in names.items()
    }


def test_the_form_of_every_result_can_be_chosen(remote, tmp_path):
    put(tmp_path, "in/a.png", "in/b.jpeg")
    assert remote("enhance", "in/*", "-o", "out", "--format", "webp")[0] == 0
    assert set(written(tmp_path / "out")) == {"a.webp", "b.webp"}
    assert remote("enhance", "in", "-o", "more", "--format", "jpeg")[0] == 0
    assert set(written(tmp_path / "more")) == {"a.jpg", "b.jpeg"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_pictures_than_jobs_are_on_their_way(remote, stub, tmp_path, jobs):
    put(tmp_path, *(f"in/{number}.png" for number in range(12)))
    assert remote("enhance", "in", "-o", "out", "--jobs", jobs)[0] == 0
    assert len(written(tmp_path / "out")) == 12
    assert stub.most_inside <= jobs


def test_who_is_busy_is_asked_again(remote, stub, tmp_path):
    put(tmp_path, "a.png")
    stub.told += ["hangs up", problem(503, "starting", Retry_After="0")]
    assert remote("enhance", "a.png", "-o", "out.png")[0] == 0
    assert len(stub.asked) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png", "-o", "out.png"), "none.png: no such file or folder"),
        (("a.png", "-o", "b.png"), "b.png: exists; --overwrite replaces it"),
        (("a.png", "-o", "a.png", "--overwrite"), "is a picture to restore"),
        (("a.png", "-o", "out.gif"), "pictures are written as .png"),
        (("a.png", "-o", "out.png", "--format", "webp"), "out.png is named as PNG; choose one"),
        (("v.mp4", "-o", "out.mp4"), "is a video; `sparnet enhance` restores it"),
        (("v.mp4", "-o", "out"), "is a video; `sparnet enhance` restores it"),
        (("a.png", "b.png", "-o", "."), "is a picture to restore"),
        (("bad.png", "-o", "out.png"), "bad.png: what was sent is not a picture (415"),
        (("a.png", "-o", "out.png", "--url", "nowhere"), "nowhere: not a URL of a server"),
        (("a.png", "-o", "out.png", "--key-file", "none"), "none: the key cannot be read"),
        (("a.png", "-o", "out.png", "--key-file", "empty"), "empty: holds no key"),
        (("a.png", "-o", "out.png", "--key-file", "b.png"), "no valid key (401, request id-1)"),
        (("folder", "-o", "out", "--key-file", "b.png"), "no valid key (401, request id-1)"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(remote, tmp_path, arguments, message):
    put(tmp_path, "a.png", "b.png", "v.mp4", "bad.png", "folder/a.png", "folder/b.png")
    (tmp_path / "empty").touch()
    before = written(tmp_path)
    code, _, err = remote("enhance", *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert written(tmp_path) == before


def test_a_file_that_appeared_meanwhile_is_kept(remote, stub, tmp_path):
    put(tmp_path, "in/a.png", "in/b.png")

    class Meanwhile:
        def wait(self, _: float) -> None:
            put(tmp_path, "out/a.png")

    stub.told.append("waits")
    stub.go_on.wait = Meanwhile().wait
    code, _, err = remote("enhance", "in", "-o", "out", "--jobs", 1)
    assert code == 1
    assert "in/a.png: out/a.png: exists; --overwrite replaces it" in err
    assert written(tmp_path / "out") == {"a.png": b"a", "b.png": b"restored b"}


@pytest.mark.parametrize("line", [KEY, f"{KEY}\n", f"Authorization: Bearer {KEY}\n"])
def test_the_key_may_be_in_a_file(remote, tmp_path, monkeypatch, line):
    monkeypatch.delenv("SPARNET_KEY")
    (tmp_path / "key").write_text(line)
    code, out, _ = remote("models", "--key-file", "key")
    assert code == 0
    assert out.splitlines() == [
        "sparnet 0123456789ab: faces of 128 pixels",
        "sparnethd ba9876543210: faces of 512 pixels, the default",
    ]


def test_a_server_on_this_machine_is_found_and_its_key_goes_nowhere_else(
    remote, stub, tmp_path, monkeypatch
):
    monkeypatch.delenv("SPARNET_KEY")
    monkeypatch.delenv("SPARNET_URL")
    assert "no server runs here; start one with `make serve`" in remote("models")[2]
    folder = tmp_path / ".state/serving"
    folder.mkdir(parents=True)
    (folder / "server.json").write_text(json.dumps({"url": stub.url}))
    (folder / "authorization").write_text(f"Authorization: Bearer {KEY}\n")
    assert remote("models")[0] == 0
    folder.rename(tmp_path / "elsewhere")
    assert remote("models", "--session", "elsewhere")[0] == 0
    code, _, err = remote("models", "--session", "elsewhere", "--url", "http://127.0.0.1:1")
    assert code == 2
    assert "needs a key; name its file with --key-file, or set SPARNET_KEY" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_whole_pictures_and_nothing_half(stub, tmp_path, number):
    """While one answer has not come, and another picture waits to be sent again."""
    put(tmp_path, *(f"in/{number}.png" for number in range(5)))
    stub.told += ["good", "waits", problem(429, "busy", Retry_After="200")]
    variables = {"SPARNET_URL": stub.url, "SPARNET_KEY": KEY, "PYTHONUNBUFFERED": "1"}
    line = ["remote", "enhance", "in", "-o", "out", "--jobs", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "sparnet.cli", *line],
        cwd=tmp_path,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(3):
            assert stub.arrived.acquire(timeout=_WITHIN)
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=_WITHIN)
    assert process.returncode not in (0, 2)
    assert "Traceback" not in err
    [(name, content)] = written(tmp_path / "out").items()
    assert told.startswith(f"out/{name}: ")
    assert content == b"restored " + Path(name).stem.encode()
