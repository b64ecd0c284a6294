"""What clients see while parts of the real stack are killed, swapped and rolled back."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch
from running_server import STOPPED_WITHIN, Server, end, face, started
from typer.testing import CliRunner

from serving import archive
from serving.cli import app
from sparnet.models import checkpoint

pytestmark = pytest.mark.service

CLIENTS = 8
PAUSE = 0.1
KEPT = (["--keep-old"], [])
RECOVERED_WITHIN = 60.0


@dataclass
class Load:
    """Clients that ask again and again, and repeat what they are told to repeat."""

    server: Server
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._ending.is_set():
            try:
                answer = self.server.post(face())
            except httpx.HTTPError as error:
                self.failures.append(type(error).__name__)
                continue
            self._ending.wait(PAUSE)
            if answer.status_code == 200:
                self.answers[answer.headers["x-sparnet-version"]] += 1
            elif answer.status_code in (429, 503) and "retry-after" in answer.headers:
                self.answers["come back"] += 1
                self._ending.wait(0.2)
            else:
                self.failures.append(answer.text)

    @property
    def restored(self) -> int:
        """Pictures that came back."""
        return self.answers.total() - self.answers["come back"]

    def end(self) -> None:
        self._ending.set()


@contextmanager
def load(server: Server) -> Iterator[Load]:
    under = Load(server)
    threads = [threading.Thread(target=under.run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield under
    finally:
        under.end()
        for thread in threads:
            thread.join(120)


def until(done: Callable[[], bool], what: str) -> float:
    """Wait; the seconds that it took."""
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < RECOVERED_WITHIN, what
        time.sleep(0.05)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def versions(packaged, tmp_path_factory) -> list[Path]:
    """Two archives of the model sparnet with different weights."""
    folder = tmp_path_factory.mktemp("versions")
    other = checkpoint.load(packaged.weights["sparnet"])
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.01)
    weights = folder / "other" / "best.safetensors"
    weights.parent.mkdir()
    checkpoint.save(other, weights)
    archive.build("sparnet", weights, packaged.settings, folder / "other.mar")
    return [packaged.store / "sparnet.mar", folder / "other.mar"]


@pytest.fixture(scope="module")
def own(packaged, tmp_path_factory) -> Iterator[Server]:
    """A server with the model sparnet, whose versions change."""
    server = started(packaged.store, tmp_path_factory.mktemp("own"), "--model", "sparnet")
    yield server
    assert end(server, signal.SIGTERM) == 0
    assert not list(server.temporary.iterdir())
    server.temporary.rmdir()


def serving(server: Server, *words: object) -> str:
    """What the command `serving` tells; it must go well."""
    result = CliRunner().invoke(app, [*map(str, words), "--session", str(server.folder)])
    assert result.exception is None, result.exception
    return result.output


def metrics(server: Server) -> str:
    admin = json.loads((server.folder / "admin.json").read_text())
    headers = {"Authorization": admin["authorization"]}
    url = f"{server.address.url}/metrics"
    return httpx.get(url, headers=headers, trust_env=False).raise_for_status().text


def refused(server: Server, *words: object) -> str:
    result = CliRunner().invoke(app, [*map(str, words), "--session", str(server.folder)])
    assert result.exception is not None
    return str(result.exception)


def audit(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (server.folder / "audit.jsonl").read_text().splitlines()]


def current(server: Server) -> str:
    [model] = json.loads(serving(server, "status", "--json"))
    return str(model["version"])


def test_ten_swaps_and_ten_rollbacks_under_load_fail_no_request(own, versions):
    """Every other one keeps the old version, so that the next takes no start."""
    first, second = (archive.read(path).version for path in versions)
    with load(own) as under:
        for turn in range(10):
            serving(own, "deploy", versions[(turn + 1) % 2], *KEPT[turn % 2])
        assert current(own) == first
        for turn in range(10):
            serving(own, "rollback", "sparnet", *KEPT[turn % 2])
    assert not under.failures
    assert under.answers["come back"] == 0
    assert min(under.answers[first], under.answers[second]) > 10
    assert current(own) == first
    lines = audit(own)
    assert Counter(line["action"] for line in lines) == {"deploy": 10, "rollback": 10}
    assert {line["outcome"] for line in lines} == {"done"}


def test_there_is_nothing_before_the_first_version(own):
    assert "there is no version before" in refused(own, "rollback", "sparnet")
    assert "no model other is served" in refused(own, "rollback", "other")


def test_a_canary_answers_its_share_and_a_shadow_none(own, versions):
    first, second = (archive.read(path).version for path in versions)
    serving(own, "canary", versions[1], "--percent", "50")
    with load(own) as under:
        until(lambda: min(under.answers[first], under.answers[second]) > 20, "no canary")
    serving(own, "shadow", versions[1])
    with load(own) as shadowed:
        until(lambda: shadowed.answers.total() > 20, "no answers")
    assert not under.failures + shadowed.failures
    assert set(shadowed.answers) == {first}
    told = metrics(own)
    assert f'role="canary",version="{second}"' in told
    assert f'role="shadow",version="{second}"' in told
    assert f'sparnet_shadow_difference_count{{model="sparnet",version="{second}"}}' in told
    assert "is gone" in serving(own, "end-trial", "sparnet")
    assert "no version is on trial" in refused(own, "end-trial", "sparnet")
    assert current(own) == first


def of(server: Server, what: str) -> list[psutil.Process]:
    return [item for item in server.family() if what in words(item)]


def words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


WORKER, JAVA, GATEWAY = "model_service_worker", "org.pytorch.serve.ModelServer", "serving.gateway"


@pytest.mark.parametrize("what", [WORKER, JAVA, GATEWAY])
def test_what_is_killed_under_load_comes_back_and_leaves_nothing(own, what):
    """A client sees an answer or when to come back; only the killed gateway breaks connections."""
    with load(own) as under:
        until(lambda: under.answers.total() > 10, "no answers before")
        killed = of(own, what)
        family = own.family()
        for process in killed:
            process.send_signal(signal.SIGKILL)
        until(lambda: bool(set(of(own, what)) - set(killed)), f"{what} is not back")
        seen = under.restored
        until(lambda: under.restored > seen, f"no picture is restored without {what}")
    broken = {"ReadError", "RemoteProtocolError", "ConnectError", "WriteError"}
    assert set(under.failures) <= (broken if what == GATEWAY else set())
    assert len(under.failures) <= CLIENTS
    left = {process.pid for process in family if process.is_running()}
    assert left <= {process.pid for process in own.family()}
    psutil.wait_procs(killed, timeout=STOPPED_WITHIN)


def test_archives_that_are_no_good_are_refused_and_the_old_version_stays(own, versions, tmp_path):
    altered = tmp_path / "altered.mar"
    altered.write_bytes(versions[1].read_bytes()[:-200] + bytes(200))
    before = current(own)
    with load(own) as under:
        assert "package the model again" in refused(own, "deploy", altered)
        assert "no such file" in refused(own, "deploy", tmp_path / "absent.mar")
        for name, told in (("raising", "a worker refused its model"), ("other", "PSNR")):
            path = broken(versions[1], tmp_path / f"{name}.mar", BROKEN[name])
            assert told in refused(own, "deploy", path)
    assert not under.failures
    assert set(under.answers) == {before}
    assert current(own) == before
    assert [line["outcome"] for line in audit(own)[-4:]].count("done") == 0
