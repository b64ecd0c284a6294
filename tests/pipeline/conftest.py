from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

SMALL_NETWORK = {"min_channels": 8, "max_channels": 16, "residual_depth": 1}
SMALL: dict[str, Any] = {
    "compute": {"threads": 1},
    "download": {"synthetic": {"people": 60, "pictures_per_person": 1, "size": 64}},
    "prepare": {"sizes": {"sparnet": 64, "sparnethd": 64}, "min_side": 32},
    "degrade": {"sparnethd": {"variants": 2}},
    "validate": {
        "min_pictures": 2,
        "bicubic_psnr_mean": {
            "sparnet": {"low": 12.0, "high": 36.0},
            "sparnethd": {"low": 12.0, "high": 40.0},
        },
    },
    "train_sparnet": {
        "network": {**SMALL_NETWORK, "attention_channels": 8},
        "steps": 6,
        "batch_size": 4,
        "validate_every": 3,
        "validation_pictures": 4,
        "checkpoint_every": 3,
        "strips": 2,
    },
    "train_sparnethd": {
        "network": {**SMALL_NETWORK, "attention_channels": 8},
        "discriminator": {"base_channels": 8, "layers": 2, "scales": 2},
        "steps": 4,
        "batch_size": 2,
        "validate_every": 2,
        "validation_pictures": 4,
        "checkpoint_every": 2,
        "strips": 2,
    },
    "evaluate": {"strips": 2},
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's tracked files with small parameters, a git repository of its own."""

    folder: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "DVC_NO_ANALYTICS": "1",
            "DO_NOT_TRACK": "true",
        }
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_HOME", "PREFECT_API_URL"):
            environment.pop(name, None)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False
        )
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def change(self, changes: dict[str, Any]) -> None:
        path = self.folder / "params.yaml"
        content = merged(yaml.safe_load(path.read_text()), changes)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def lock(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "dvc.lock").read_text())

    def outs(self) -> dict[str, str]:
        """The content hash of every out of every stage."""
        return {
            out["path"]: out["md5"]
            for stage in self.lock()["stages"].values()
            for out in stage["outs"]
        }


def checkout(folder: Path) -> Checkout:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    copy = Checkout(folder)
    copy.run("git", "init", "-q")
    copy.run("git", "add", "-A")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    copy.run("git", *identity, "commit", "-q", "-m", "Start")
    copy.change(SMALL)
    return copy


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return checkout(tmp_path_factory.mktemp("project"))
