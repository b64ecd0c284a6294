"""The image cannot be built where the tests run: what can be known of it without."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "infra" / "serving" / "Containerfile").read_text()
INSTRUCTIONS = [
    (word, rest.strip())
    for word, rest in re.findall(
        r"^([A-Z]+) ((?:.*\\\n)*.*)$", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE), re.MULTILINE
    )
]


def all_of(instruction: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == instruction]


def copied() -> list[str]:
    """What is taken from the project's folder."""
    sources = [rest.split()[:-1] for rest in all_of("COPY") if not rest.startswith("--from=")]
    return [source for words in sources for source in words]


def test_every_line_is_an_instruction_or_goes_on_from_one():
    whole = "".join(f"{word}{rest}" for word, rest in INSTRUCTIONS)
    assert re.sub(r"\s", "", whole) == re.sub(r"^#.*$|\s", "", TEXT, flags=re.MULTILINE)


def test_everything_that_is_copied_is_there():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source


def test_the_packages_are_installed_as_make_does():
    """The Makefile's `$$(grep ...)` is a file here; the project itself is no link to its source."""
    made = re.findall(r"-m pip install (.*)", (ROOT / "Makefile").read_text())
    built = re.findall(r"-m pip install ([^\\\n]*)", TEXT)
    options = ["-q --no-build-isolation", "-q --no-build-isolation -r requirements.lock"]
    for option in options:
        assert any(line.startswith(option) for line in made), option
    assert [line.strip() for line in built] == [
        "-q --no-build-isolation -r build.lock",
        "-q --no-build-isolation -r requirements.lock",
        "-q --no-build-isolation --no-deps .",
    ]


def test_the_python_is_the_one_that_the_project_needs():
    bases = {rest.split()[0] for rest in all_of("FROM")}
    assert bases == {f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"}


def test_the_server_is_no_root_is_asked_whether_it_is_ready_and_told_to_stop():
    last = INSTRUCTIONS[max(i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]
    words = dict(last)
    assert int(words["USER"]) > 0
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert "/readyz" in words["HEALTHCHECK"]
    assert json.loads(words["ENTRYPOINT"]) == ["serving"]
    assert json.loads(words["CMD"])[0] == "up"
    assert set(json.loads(words["VOLUME"])) == {"/srv/sparnet/build", "/srv/sparnet/.state/serving"}


def test_the_health_check_is_python_that_fails_where_nothing_is_ready():
    command = re.search(r"CMD (\[.*\])", all_of("HEALTHCHECK")[0])
    assert command is not None
    _, option, code = json.loads(command[1])
    refused = re.sub(r":8080", ":9", code)  # discard: nothing answers there
    result = subprocess.run([sys.executable, option, refused], capture_output=True, text=True)
    assert result.returncode != 0
    assert "Connection refused" in result.stderr


def test_the_installed_packages_hold_every_file_that_git_holds(tmp_path):
    """A file that setuptools leaves out would be missed in the image alone."""
    listed = subprocess.run(
        ["git", "ls-files", "sparnet", "serving"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = listed.stdout.split()
    for name in [*names, "pyproject.toml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    options = ["-q", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", "installed", "."],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    missing = [name for name in names if not (tmp_path / "installed" / name).is_file()]
    assert not missing
