"""What the fleet makes of a TorchServe that does well or badly, as told."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from broken_archives import forged

from serving import archive, routes
from serving.archive import Archive
from serving.control.backoff import Backoff
from serving.control.fleet import Fleet
from serving.control.shelf import Shelf
from sparnet.errors import UserError


class FakeEngine:
    """Loads what it is given, but for the versions in `bad`; notes what happens."""

    url = "http://127.0.0.1:9"
    token = "token"

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.loaded: list[str] = []
        self.notes: list[str] = []
        self.starts = 0
        self.pid = 100
        self.up = True

    def start(self) -> None:
        self.starts += 1
        self.loaded.clear()

    def load(self, found: Archive, _: float) -> None:
        if found.version in self.bad:
            raise UserError("it cannot be loaded")
        assert found.version not in self.loaded
        self.loaded.append(found.version)
        self.notes.append(f"load {found.version}")

    def unload(self, found: Archive) -> None:
        self.loaded.remove(found.version)
        self.notes.append(f"unload {found.version}")

    def make_default(self, found: Archive) -> None:
        self.notes.append(f"default {found.version}")

    def answers(self) -> bool:
        return self.up

    def ready_workers(self, found: Archive) -> list[int]:
        return [self.pid] * self.loaded.count(found.version)


class Stage:
    """A fleet before a fake engine, and three archives of one model."""

    def __init__(self, folder: Path, packaged) -> None:
        self.folder = folder
        self.engine = FakeEngine()
        self.busy: dict[str, list[int]] = {}
        source = packaged.store / "sparnet.mar"
        self.files = [source] + [
            forged(source, folder / f"{number}.mar", {"note.txt": bytes([number])})
            for number in (1, 2)
        ]
        self.versions = [archive.read(path).version for path in self.files]
        self.fleet = self.new()

    def new(self) -> Fleet:
        return Fleet(
            self.engine,  # type: ignore[arg-type]
            Shelf(self.folder),
            self.folder / "routes.json",
            self.in_flight,
            start_seconds=1.0,
            drain_seconds=5.0,
        )

    def in_flight(self, _: str, version: str) -> int:
        self.engine.notes.append(f"ask {version}")
        left = self.busy.get(version, [])
        return left.pop() if left else 0

    @property
    def route(self) -> routes.Route:
        return routes.read(self.folder / "routes.json").named("sparnet")

    @property
    def recorded(self) -> dict[str, object]:
        return json.loads((self.folder / "deployed.json").read_text())["models"]["sparnet"]


@pytest.fixture
def stage(packaged, tmp_path) -> Stage:
    made = Stage(tmp_path, packaged)
    made.fleet.start(made.files[:1], print)
    return made


def test_the_old_version_ends_only_when_its_last_request_is_answered(stage):
    old, new, _ = stage.versions
    stage.busy[old] = [1, 2]
    stage.fleet.deploy(stage.files[1], False, print)
    asked = [f"ask {old}"] * 3
    assert stage.engine.notes[1:] == [f"load {new}", f"default {new}", *asked, f"unload {old}"]
    assert stage.route.main.version == stage.recorded["versions"][-1] == new


def test_a_version_that_cannot_be_loaded_changes_nothing(stage):
    old, new, _ = stage.versions
    stage.engine.bad.add(new)
    before = stage.recorded
    with pytest.raises(UserError, match="cannot be loaded"):
        stage.fleet.deploy(stage.files[1], False, print)
    assert (stage.route.main.version, stage.recorded) == (old, before)
    assert stage.engine.loaded == [old]


@pytest.mark.parametrize("failing", ["write", "publish"])
def test_a_change_that_cannot_be_written_is_undone_as_a_whole(stage, monkeypatch, failing):
    old = stage.versions[0]
    before = stage.recorded
    owner, name = (Shelf, "write") if failing == "write" else (routes.Routes, "write")
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, _no_space)
        with pytest.raises(OSError, match="No space"):
            stage.fleet.deploy(stage.files[1], False, print)
    assert (stage.route.main.version, stage.recorded) == (old, before)
    assert stage.engine.loaded == [old]
    stage.fleet.deploy(stage.files[1], False, print)
    assert stage.route.main.version == stage.versions[1]


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_rollbacks_go_back_version_by_version(stage):
    for path in stage.files[1:]:
        stage.fleet.deploy(path, False, print)
    served = [stage.fleet.rollback("sparnet", False, print)["to"] for _ in range(2)]
    assert served == stage.versions[1::-1]
    with pytest.raises(UserError, match="no version before"):
        stage.fleet.rollback("sparnet", False, print)


def test_a_kept_version_needs_no_start_and_goes_with_the_next_change(stage):
    first, second, third = stage.versions
    stage.fleet.deploy(stage.files[1], True, print)
    assert stage.engine.loaded == [first, second]
    stage.fleet.rollback("sparnet", False, print)
    assert stage.engine.loaded == [first]
    assert stage.engine.notes.count(f"load {first}") == 1
    stage.fleet.deploy(stage.files[2], False, print)
    assert stage.engine.loaded == [third]


def test_a_trial_that_is_deployed_takes_no_second_start(stage):
    _, second, _ = stage.versions
    stage.fleet.begin_trial(stage.files[1], "canary", 20.0, print)
    assert (stage.route.beside.model.version, stage.route.beside.percent) == (second, 20.0)
    stage.fleet.deploy(stage.files[1], False, print)
    assert stage.route.beside is None
    assert stage.engine.loaded == [second]
    assert stage.engine.notes.count(f"load {second}") == 1


def test_a_trial_is_over_where_a_start_makes_its_version_the_main_one(stage):
    stage.fleet.begin_trial(stage.files[1], "canary", 5.0, print)
    stage.engine.start()
    started = stage.new()
    started.start(stage.files[1:2], print)
    assert stage.route.beside is None
    assert stage.recorded["trial"] is None


def test_after_a_restart_everything_that_serves_is_loaded_again(stage):
    first, second, _ = stage.versions
    stage.fleet.begin_trial(stage.files[1], "shadow", 100.0, print)
    stage.engine.token = "new token"
    stage.fleet.recover(print)
    assert stage.engine.starts == 1
    assert stage.engine.loaded == [first, second]
    assert routes.read(stage.folder / "routes.json").token == "new token"


def test_a_trial_that_is_broken_does_not_keep_the_main_version_from_coming_back(stage):
    first, second, _ = stage.versions
    stage.fleet.begin_trial(stage.files[1], "canary", 5.0, print)
    stage.engine.bad.add(second)
    told: list[str] = []
    stage.fleet.recover(told.append)
    assert stage.route.beside is None
    assert stage.engine.loaded == [first]
    assert any("the canary ends" in text for text in told)


def test_a_later_server_serves_what_was_deployed_last(stage):
    stage.fleet.deploy(stage.files[1], False, print)
    stage.engine.start()
    later = stage.new()
    later.start([], print)
    assert [item.version for item in later.archives] == [stage.versions[1]]


def test_a_damaged_copy_is_mended_by_deploying_the_archive_again(stage):
    stage.fleet.deploy(stage.files[1], False, print)
    kept = stage.folder / "archives" / f"sparnet-{stage.versions[0]}.mar"
    kept.write_bytes(b"damaged")
    with pytest.raises(UserError, match="not an archive"):
        stage.fleet.rollback("sparnet", False, print)
    stage.fleet.deploy(stage.files[0], False, print)
    assert stage.route.main.version == stage.versions[0]


def test_the_gateway_is_told_of_a_worker_that_was_replaced(stage):
    version = stage.versions[0]
    assert routes.read(stage.folder / "routes.json").workers == {version: (100,)}
    stage.engine.pid = 200
    assert stage.fleet.look()
    assert routes.read(stage.folder / "routes.json").workers == {version: (200,)}
    stage.engine.loaded.clear()
    stage.engine.up = False
    assert not stage.fleet.look()
    assert routes.read(stage.folder / "routes.json").workers == {version: (200,)}
    stage.engine.up = True
    assert not stage.fleet.look()
    assert routes.read(stage.folder / "routes.json").workers == {version: ()}


def test_a_change_is_not_refused_because_the_supervisor_looks(stage):
    looking, go_on = threading.Event(), threading.Event()

    def answers() -> bool:
        looking.set()
        return go_on.wait(10)

    stage.engine.answers = answers
    with ThreadPoolExecutor(2) as pool:
        look = pool.submit(stage.fleet.look)
        assert looking.wait(10)
        change = pool.submit(stage.fleet.deploy, stage.files[1], False, print)
        go_on.set()
        assert change.result()["to"] == stage.versions[1]
        assert look.result()


def test_one_change_at_a_time(stage):
    def second(_: str) -> None:
        with pytest.raises(UserError, match="another change is under way"):
            stage.fleet.rollback("sparnet", False, print)

    stage.fleet.deploy(stage.files[1], False, second)
    stage.fleet.close()
    with pytest.raises(UserError, match="another change is under way"):
        stage.fleet.deploy(stage.files[2], False, print)


def test_a_damaged_record_is_named(stage):
    (stage.folder / "deployed.json").write_text("{")
    with pytest.raises(UserError, match=r"deployed\.json: damaged"):
        stage.new()


def test_a_trial_that_ended_in_a_recovery_does_not_come_back(stage):
    stage.fleet.begin_trial(stage.files[1], "canary", 5.0, print)
    stage.engine.bad.add(stage.versions[1])
    stage.fleet.recover(print)
    assert stage.recorded["trial"] is None


def test_what_ends_again_and_again_is_given_up_however_long_its_start_takes():
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    waits = []
    while not backoff.exhausted:
        waits.append(backoff.ended())
        now[0] += 500.0
        backoff.started()
        now[0] += 1.0
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_what_ran_for_long_is_started_at_once():
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    for _ in range(30):
        assert backoff.ended() == 0.0
        backoff.started()
        now[0] += 121.0
    assert not backoff.exhausted
