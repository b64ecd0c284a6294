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

import httpx
import pytest
import torch
from running_server import Server, end, face, started
from typer.testing import CliRunner

from serving import archive
from serving.cli import app
from sparnet.models import checkpoint

pytestmark = pytest.mark.service

CLIENTS = 8
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
            if answer.status_code == 200:
                self.answers[answer.headers["x-sparnet-version"]] += 1
            elif answer.status_code in (429, 503) and "retry-after" in answer.headers:
                self.answers["come back"] += 1
                self._ending.wait(0.2)
            else:
                self.failures.append(answer.text)

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


def refused(server: Server, *words: object) -> str:
    result = CliRunner().invoke(app, [*map(str, words), "--session", str(server.folder)])
    assert result.exception is not None
    return str(result.exception)


def current(server: Server) -> str:
    [model] = json.loads(serving(server, "status", "--json"))
    return str(model["version"])


def test_ten_swaps_and_ten_rollbacks_under_load_fail_no_request(own, versions):
    first, second = (archive.read(path).version for path in versions)
    with load(own) as under:
        for turn in range(10):
            serving(own, "deploy", versions[(turn + 1) % 2])
        assert current(own) == first
        for _ in range(10):
            serving(own, "rollback", "sparnet")
    assert not under.failures
    assert under.answers["come back"] == 0
    assert min(under.answers[first], under.answers[second]) > 10
    assert current(own) == first
    lines = [json.loads(line) for line in (own.folder / "audit.jsonl").read_text().splitlines()]
    assert Counter(line["action"] for line in lines) == {"deploy": 10, "rollback": 10}
    assert {line["outcome"] for line in lines} == {"done"}


def test_there_is_nothing_before_the_first_version(own):
    assert "there is no version before" in refused(own, "rollback", "sparnet")
    assert "no model other is served" in refused(own, "rollback", "other")
