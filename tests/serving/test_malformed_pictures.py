"""Thousands of malformed pictures against a real server, which goes on as if nothing was."""

from __future__ import annotations

import base64
import http.client
import io
import json
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import malformed
import numpy as np
import psutil
import pytest
from malformed import Case
from PIL import Image
from running_server import Server, face

from serving.gateway import keys
from serving.protocol import PROBLEM_TYPE
from sparnet.images import encode_png

pytestmark = pytest.mark.service

CLIENTS = 4
STRETCH = 100
"""Cases between two looks at the memory, at which no request is on its way."""

MOST_GROWTH = 0.03
"""Of a process over the second half of the cases."""

SENSIBLE = {200, 413, 415, 422}


@dataclass(frozen=True)
class Answer:
    case: str
    accept: str
    status: int
    content_type: str
    content: bytes


@dataclass
class Ordeal:
    """What the server answered, and how its processes were before, meanwhile and afterwards."""

    warm: list[Answer] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    resident: dict[int, list[int]] = field(default_factory=dict)
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)


class Client:
    """Keeps a connection a thread, each with a key of its own, so that no rate is used up."""

    def __init__(self, server: Server) -> None:
        self._address = urllib.parse.urlsplit(server.address.url)
        self._keys = server.folder / "keys.json"
        self._mine = threading.local()

    def send(self, case: Case) -> Answer:
        headers = {
            "Content-Type": case.content_type,
            "Accept": case.accept,
            "Authorization": self._authorization(),
        }
        connection = self._connection()
        connection.request("POST", f"/v1/{case.target}", case.body, headers)
        answer = connection.getresponse()
        content_type = answer.headers["content-type"]
        return Answer(case.name, case.accept, answer.status, content_type, answer.read())

    def _authorization(self) -> str:
        if not hasattr(self._mine, "key"):
            self._mine.key = keys.add(self._keys, "fuzz", ["infer"])
        return f"Bearer {self._mine.key}"

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._mine, "connection"):
            host, port = self._address.hostname, self._address.port
            self._mine.connection = http.client.HTTPConnection(host, port, timeout=60)
        return self._mine.connection


@pytest.fixture(scope="module")
def ordeal(server: Server) -> Iterator[Ordeal]:
    client, ordeal = Client(server), Ordeal(before=_pids(server))
    watched = [item for item in server.family() if item.name() != "java"]  # java has its -Xmx
    ordeal.resident = {item.pid: [] for item in watched}
    drawn = malformed.order()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for good in _good():
            ordeal.warm += pool.map(client.send, [good] * CLIENTS)
        for start in range(0, len(drawn), STRETCH):
            stretch = [malformed.case(*item) for item in drawn[start : start + STRETCH]]
            ordeal.answers += pool.map(client.send, stretch)
            for item in watched:
                ordeal.resident[item.pid].append(_resident(item))
    ordeal.after = _pids(server)
    yield ordeal
    path = server.folder / "keys.json"
    for key in keys.read(path):
        if key.name == "fuzz":
            keys.revoke(path, key.id)


def _picture(answer: Answer) -> bytes:
    if answer.accept != "application/json":
        return answer.content
    return base64.b64decode(json.loads(answer.content)["picture"]["base64"])


def _good() -> list[Case]:
    """The largest pictures and every kind of answer: they take memory that is not given back."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3)).astype(np.uint8)
    sent = {"enhance?model=sparnet": encode_png(noise), "faces?model=sparnet": face()}
    return [
        Case("good", body, malformed.RAW, target, accept)
        for accept in malformed.ACCEPTS
        for target, body in sent.items()
    ]


def _pids(server: Server) -> set[int]:
    return {item.pid for item in server.family()}


def _resident(process: psutil.Process) -> int:
    return process.memory_info().rss if process.is_running() else 0


def test_the_cases_are_five_thousand_and_the_same_every_time():
    drawn = malformed.order()
    assert len(set(drawn)) == 5000
    for mutator, seed in drawn[:200]:
        assert malformed.case(mutator, seed) == malformed.case(mutator, seed)


def test_no_malformed_picture_makes_the_server_fail(ordeal):
    failed = [(item.case, item.status) for item in ordeal.answers if item.status >= 500]
    assert not failed


def test_every_malformed_picture_gets_a_sensible_status(ordeal):
    odd = [(item.case, item.status) for item in ordeal.answers if item.status not in SENSIBLE]
    assert not odd
    assert {item.status for item in ordeal.answers} == SENSIBLE


def test_every_answer_is_a_picture_or_a_problem(ordeal):
    for answer in ordeal.answers:
        if answer.status == 200:
            assert answer.content_type == answer.accept, answer.case
            with Image.open(io.BytesIO(_picture(answer))) as image:
                image.load()
        else:
            assert answer.content_type == PROBLEM_TYPE, answer.case
            problem = json.loads(answer.content)
            assert problem["status"] == answer.status
            assert problem["detail"].isprintable(), answer.case
            assert len(problem["detail"]) < 300, answer.case


def test_good_pictures_of_every_kind_are_restored(ordeal):
    statuses = [item.status for item in ordeal.answers if item.case.startswith("odd_sizes")]
    assert statuses.count(200) > len(statuses) / 2


def test_no_process_died_and_the_server_goes_on(ordeal, server):
    assert ordeal.after == ordeal.before
    assert server.post(face()).status_code == 200


def test_the_memory_stays_flat(ordeal):
    assert {item.status for item in ordeal.warm} == {200, 422}
    for pid, resident in ordeal.resident.items():
        later = np.array(resident[len(resident) // 2 :], float)
        kept = np.minimum.accumulate(later[::-1])[::-1]  # never given back
        slope = np.polyfit(np.arange(len(kept)), kept, 1)[0]
        assert slope * len(kept) < MOST_GROWTH * kept[0], (pid, resident)
