from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from web_server import Act, serving

from sparnet import profiles
from sparnet.config import parse
from sparnet.data import sources
from sparnet.data.download import download
from sparnet.images import encode_png


def archive() -> bytes:
    generator = np.random.default_rng(0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for index in range(8):
            pixels = generator.integers(0, 256, (128, 128, 3), dtype=np.uint8)
            out.writestr(zipfile.ZipInfo(f"{index}.png"), encode_png(pixels))
    return packed.getvalue()


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stage_that_is_ended_in_the_middle_goes_on(tmp_path: Path, sent, code) -> None:
    with serving() as site:
        site.files["/faces.zip"] = archive()
        site.acts["/faces.zip"] = [Act(), Act(break_after=200_000, hold=True)]
        params = yaml.safe_load(profiles.text("quick"))
        params["download"] = {
            "source": "http",
            "http": {"files": [{"url": f"{site.url}/faces.zip"}]},
        }
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        settings = parse(params).download

        def run(name: str, state: Path) -> dict[str, str]:
            download(sources.create(settings, seed=0, state=state), tmp_path / name, 1000)
            return hashes(tmp_path / name)

        whole = run("whole", tmp_path / "other")
        stage = subprocess.Popen(
            [sys.executable, "-m", "sparnet.stages.download"],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "DVC_ROOT"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert site.holding.wait(60)
        stage.send_signal(sent)
        _, told = stage.communicate(timeout=60)
        assert stage.returncode == code
        assert "Traceback" not in told
        assert not (tmp_path / "data").exists()
        assert run("again", tmp_path / sources.STATE) == whole
