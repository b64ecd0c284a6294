"""The gateway before a real TorchServe."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from documented import ROOT, blocks, typed
from PIL import Image
from running_server import Server, face

from serving import archive
from serving.gateway import keys
from sparnet import images

pytestmark = pytest.mark.service


@pytest.fixture
def beside(server, astronaut, tmp_path) -> Path:
    """A folder like the checkout that the pages mean: with the server's, and a photograph."""
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state/serving").symlink_to(server.folder, target_is_directory=True)
    (tmp_path / "astronaut.png").write_bytes(images.encode_png(astronaut))
    return tmp_path


def by_shell(line: str, folder: Path, server: Server) -> str:
    """What a line of a page tells, with the address of this server in the place of its own."""
    bin, root = Path(sys.executable).parent, str(ROOT)
    path = {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": root}
    own = line.replace("http://127.0.0.1:8080", server.address.url).replace("curl ", "curl -sf ")
    own = own.replace("sparnet ", "python -m sparnet.cli ", 1) if own.startswith("sparnet") else own
    done = subprocess.run(
        own, shell=True, cwd=folder, env=os.environ | path, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_of_the_readme_restore_a_photograph(server, beside, astronaut):
    lines = [line for line in typed(ROOT / "README.md") if "astronaut.png -o" in line]
    assert [line.split()[0] for line in lines] == ["curl", "sparnet"]
    for line in lines:
        by_shell(line, beside, server)
        output = beside / line.partition(" -o ")[2].split()[0]
        assert images.read(output).shape == astronaut.shape


def test_the_python_of_the_readme_restores_a_photograph(
    beside, packaged, astronaut, monkeypatch, capsys
):
    [example] = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(beside)
    exec(compile(example, "README.md", "exec"), {})
    version = archive.read(packaged.store / "sparnethd.mar").version
    assert capsys.readouterr().out == f"1 face(s) restored by sparnethd {version}\n"
    assert images.read(beside / "python.webp").shape == astronaut.shape


def test_the_lines_of_the_page_about_serving_restore_a_photograph(server, beside, astronaut):
    lines = [line for line in typed(ROOT / "docs/serving.md") if "astronaut.png" in line]
    assert len(lines) == 3
    for line in lines:
        by_shell(line, beside, server)
    for name in ("restored.png", "restored.webp", "remote.png"):
        assert images.read(beside / name).shape == astronaut.shape


@pytest.mark.parametrize(("media_type", "format"), [("image/jpeg", "JPEG"), ("image/webp", "WEBP")])
def test_other_formats_hold_the_same_picture(server, astronaut, media_type, format):
    body = images.encode_png(astronaut)
    png = server.post(body)
    other = server.post(body, Accept=media_type)
    assert other.headers["content-type"] == media_type
    with Image.open(io.BytesIO(other.content)) as image:
        assert image.format == format
        assert images.psnr(np.array(image.convert("RGB")), images.read(png.content)) > 35


def test_json_tells_the_faces_and_shows_where_the_network_looks(server, astronaut):
    path = "enhance?model=sparnet&attention=true&upscale=1&min_confidence=0.1"
    answer = server.post(
        images.encode_png(astronaut), path, Accept="application/json, image/webp;q=0.5"
    )
    assert answer.status_code == 200
    content = answer.json()
    assert (content["width"], content["height"]) == (512, 512)
    [face_of_hers], [sheet] = content["faces"], content["attention"]
    left, top, right, bottom = face_of_hers["box"]
    assert 0 < left < right < 512
    assert 0 < top < bottom < 512
    assert images.read(base64.b64decode(sheet)).shape[2] == 3
    with Image.open(io.BytesIO(base64.b64decode(content["picture"]["base64"]))) as image:
        assert (image.format, image.size) == ("WEBP", (512, 512))


def test_a_picture_without_a_face_is_told_what_to_do(server):
    answer = server.post(images.encode_png(np.full((120, 120, 3), 90, np.uint8)))
    assert answer.status_code == 422
    assert "/v1/faces" in answer.json()["detail"]


def test_the_versions_are_those_of_the_archives(server, packaged):
    version = archive.read(packaged.store / "sparnet.mar").version
    assert server.post(face()).headers["x-sparnet-version"] == version
    headers = {"Authorization": server.address.authorization}
    listed = httpx.get(f"{server.address.url}/v1/models", headers=headers, trust_env=False).json()
    assert listed["models"][0]["version"] == version


def test_every_model_is_ready(server):
    answer = httpx.get(f"{server.address.url}/readyz", timeout=30, trust_env=False)
    assert answer.json() == {
        "status": "ready",
        "models": {"sparnet": "ready", "sparnethd": "ready"},
    }


def test_a_key_that_is_added_opens_and_a_revoked_one_does_not(server):
    path = server.folder / "keys.json"
    key = keys.add(path, "guest", ["infer"])
    guest = f"Bearer {key}"
    assert server.post(face(), Authorization=guest).status_code == 200
    keys.revoke(path, key.split(".")[0])
    assert server.post(face(), Authorization=guest).status_code == 401


def test_more_than_the_queues_hold_may_be_asked_to_come_back_and_nothing_fails(server):
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(server.post, [face()] * 40))
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)


def test_the_token_of_torchserve_is_in_no_command_line_and_no_log(server):
    [work] = server.temporary.glob("sparnet-serving-*")
    token = json.loads((work / "routes.json").read_text())["token"]
    seen = [word for process in server.family() for word in process.cmdline()]
    logs = [(server.folder / name).read_text() for name in ("gateway.log", "server.log")]
    secret = server.address.authorization.split(".")[1]
    assert not [text for text in (*seen, *logs) if token in text or secret in text]
    for line in logs[0].splitlines():
        json.loads(line)
