"""The unit that keeps the server running is one that systemd takes, and shuts it in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "infra" / "serving" / "sparnet-serving.service"
PLACE = "/opt/sparnet"
EXPOSURE = 20
"""Of 100, as `systemd-analyze security` counts; a service without a sandbox has 96."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze comes with systemd"
)


def setting(name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return value


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit for a project that lies in `tmp_path`."""
    program = tmp_path / ".venv" / "bin" / "serving"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PLACE, str(tmp_path)))
    return unit


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(installed):
    result = analyze("verify", "--man=no", installed)
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
def test_the_service_can_reach_little_of_the_machine(installed):
    limits = ("--offline=true", f"--threshold={EXPOSURE}", "--no-pager")
    result = analyze("security", *limits, installed)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_drain_ends_before_systemd_loses_patience():
    drain = re.search(r"--drain (\d+)", setting("ExecStart"))
    assert drain is not None
    assert int(setting("TimeoutStopSec")) >= int(drain[1]) + 60


def test_the_server_ends_its_own_processes_and_a_mistake_is_not_tried_again():
    assert setting("KillMode") == "mixed"
    assert setting("Restart") == "on-failure"
    assert setting("RestartPreventExitStatus") == "2"


def test_the_server_writes_into_its_state_alone_and_is_heard_on_loopback():
    words = setting("ExecStart").split()
    state = Path("/var/lib") / setting("StateDirectory")
    assert Path(words[words.index("--session") + 1]).is_relative_to(state)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert (setting("IPAddressDeny"), setting("IPAddressAllow")) == ("any", "localhost")
    assert setting("User") == "sparnet"
