"""A real server under load, and the commands that change what it serves."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from running_server import Server, face
from typer.testing import CliRunner

from serving.cli import app

CLIENTS = 8
PAUSE = 0.1
RECOVERED_WITHIN = 60.0
WORKER, JAVA, GATEWAY = "model_service_worker", "org.pytorch.serve.ModelServer", "serving.gateway"


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
            except Exception as error:
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
        assert not any(thread.is_alive() for thread in threads)


def until(done: Callable[[], bool], what: str) -> float:
    """Wait; the seconds that it took."""
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < RECOVERED_WITHIN, what
        time.sleep(0.05)
    return time.monotonic() - start


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


def parts(server: Server, what: str) -> list[psutil.Process]:
    return [item for item in server.family() if what in words(item)]


def words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""
