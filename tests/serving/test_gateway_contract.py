"""The real gateway does what its /openapi.json promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_server import Server

from serving.gateway import keys

pytestmark = pytest.mark.service

FOLDER = Path(__file__).parent
LONGEST_SECONDS = 300
NOT_CHECKED = (
    "positive_data_acceptance",  # any bytes may be a picture: the schema cannot say which are
)


def checked(
    server: Server, folder: Path, examples: int, *headers: str
) -> subprocess.CompletedProcess[str]:
    """What Schemathesis finds with these headers, in so many requests of chance a path."""
    options = [item for header in headers for item in ("--header", header)]
    return subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.address.url}/openapi.json",
            "--exclude-checks", ",".join(NOT_CHECKED),
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(examples),
            "--seed", "1",
            "--no-color",
            "--suppress-health-check", "all",
            *options,
        ],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "contract_hooks", "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )  # fmt: skip


@pytest.fixture
def key(server: Server) -> str:
    return keys.add(server.folder / keys.FILE, "contract", ["infer", "admin"])


@pytest.mark.parametrize("accepted", ["image/png", "application/json"])
def test_with_a_key_no_answer_breaks_a_promise(server, key, accepted, tmp_path):
    found = checked(server, tmp_path, 8, f"Authorization: Bearer {key}", f"Accept: {accepted}")
    assert found.returncode == 0, found.stdout + found.stderr


def test_without_a_key_nothing_but_the_open_paths_is_answered(server, tmp_path):
    found = checked(server, tmp_path, 2)
    assert found.returncode == 0, found.stdout + found.stderr
