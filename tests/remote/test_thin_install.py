"""The wheel with its own dependencies alone: nothing else of the environment can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from checkouts import checkout
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from stub import KEY, Stub

Run = Callable[..., subprocess.CompletedProcess[str]]

_MAIN = (
    "import sys; sys.path += [sys.argv.pop(1), sys.argv.pop(1)]; "
    "from sparnet.cli import main; sys.exit(main())"
)


def needed(found: Distribution, known: dict[str, Distribution]) -> dict[str, Distribution]:
    """What a distribution requires, and what that requires."""
    for text in found.requires or []:
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = canonicalize_name(requirement.name)
        if wanted and name not in known:
            known[name] = distribution(name)
            assert requirement.specifier.contains(known[name].version), text
            needed(known[name], known)
    return known


def link(found: Distribution, folder: Path) -> None:
    """The packages of an installed distribution, by links."""
    tops = {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}
    for name in tops:
        (folder / name).symlink_to(Path(str(found.locate_file(name))))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the wheel, and that of what it requires."""
    root = tmp_path_factory.mktemp("thin")
    target, others = root / "wheel", root / "others"
    source = root / "source"
    source.mkdir()
    checkout(source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(root), str(source)]
    subprocess.run([*pip, *build], check=True)
    [wheel] = root.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
    )
    others.mkdir()
    [information] = target.glob("*.dist-info")
    for found in needed(PathDistribution(information), {}).values():
        link(found, others)
    return target, others


@pytest.fixture
def sparnet(installed: tuple[Path, Path], stub: Stub, tmp_path: Path) -> Run:
    """Run the command as installed, in an empty folder."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "-c", _MAIN, *map(str, installed), *arguments]
        variables = {"SPARNET_URL": stub.url, "SPARNET_KEY": KEY}
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | variables, text=True, capture_output=True
        )

    return call


def test_a_folder_is_restored(sparnet: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(name.encode())
    done = sparnet("remote", "enhance", "in", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 of 2 pictures restored, 0 failed"
    assert (tmp_path / "out/a.png").read_bytes() == b"restored a.png"
    assert "sparnethd" in sparnet("remote", "models").stdout


def test_what_there_is_can_be_looked_up(sparnet: Run) -> None:
    for words in ((), ("remote",), ("enhance",), ("weights",)):
        done = sparnet(*words, "--help")
        assert done.returncode == 0, done.stderr
        assert "Usage: " in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "enhance a.png -o b.png",
        "attention a.png -o b.png",
        "results",
        "ui",
        "doctor",
        "params show",
        "params use quick",
        "weights info a.safetensors",
        "weights import a.pth b.safetensors --network sparnet",
        "weights export a.safetensors b.pth",
    ],
)
def test_any_other_command_says_what_it_needs(sparnet: Run, tmp_path: Path, line: str) -> None:
    done = sparnet(*line.split())
    assert done.returncode == 2
    [told] = done.stderr.splitlines()
    assert "needs the full environment, which `make run` builds in a checkout" in told
    assert not list(tmp_path.iterdir())
