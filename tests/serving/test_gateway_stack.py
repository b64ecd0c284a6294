"""The gateway before a real TorchServe."""

from __future__ import annotations

import base64
import io
import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image
from running_server import STOPPED_WITHIN, face, started

from serving.gateway import keys
from sparnet import images

pytestmark = pytest.mark.service


def test_curl_restores_a_photograph_with_the_line_of_the_readme(server, astronaut, tmp_path):
    source, restored = tmp_path / "astronaut.png", tmp_path / "restored.png"
    source.write_bytes(images.encode_png(astronaut))
    header, url = f"@{server.folder / 'authorization'}", f"{server.address.url}/v1/enhance"
    subprocess.run(["curl", "-sfH", header, "-T", source, "-o", restored, url], check=True)
    assert images.read(restored).shape == astronaut.shape


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
    from serving import archive

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
    token = json.loads((work / "gateway.json").read_text())["upstream_token"]
    seen = [word for process in server.family() for word in process.cmdline()]
    logs = [(server.folder / name).read_text() for name in ("gateway.log", "server.log")]
    secret = server.address.authorization.split(".")[1]
    assert not [text for text in (*seen, *logs) if token in text or secret in text]
    for line in logs[0].splitlines():
        json.loads(line)


def test_a_killed_worker_costs_no_request_or_one_that_may_be_repeated(packaged, tmp_path):
    """Then the gateway itself is killed: the server ends with one clear line."""
    server = started(packaged.store, tmp_path, "--models", "sparnet")
    family = server.family()
    [worker] = [item for item in family if "model_service_worker" in " ".join(item.cmdline())]
    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(server.post, face()) for _ in range(8)]
        worker.kill()
        answers = [request.result() for request in requests]
    assert {answer.status_code for answer in answers} <= {200, 429, 503}
    assert all("retry-after" in item.headers for item in answers if item.status_code != 200)

    server.gateway.send_signal(signal.SIGKILL)
    assert server.process.wait(STOPPED_WITHIN) == 1
    assert "error: the gateway ended (-9); see " in (tmp_path / "stderr").read_text()
    _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN)
    assert not alive
    assert not list(server.temporary.iterdir())
    server.temporary.rmdir()
