"""Which versions serve, changed without one failed request.

The order of a swap: load the new version beside the old one, try it, send requests to it, wait
until the old one has none left, and only then end the old one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil

from serving import archive
from serving.archive import Archive
from serving.control.engine import Engine
from serving.control.shelf import Deployed, Line, Shelf, Trial
from serving.routes import Beside, Route, Routes, ServedModel
from sparnet.errors import UserError

Tell = Callable[[str], None]

_KEPT_VERSIONS = 12
_POLL = 0.05
_LAST_CHANGE_SECONDS = 10.0
_DEFAULT_MODEL = archive.MODELS[-1]


class Fleet:
    """The versions that TorchServe has, and the routes that lead to them.

    Every change is done or undone as a whole; while one is under way, others are refused.
    """

    def __init__(
        self,
        engine: Engine,
        shelf: Shelf,
        routes: Path,
        in_flight: Callable[[str, str], int],
        *,
        start_seconds: float,
        drain_seconds: float,
    ) -> None:
        """routes: the file that the gateway follows. in_flight: how many requests the gateway has
        for a model's version, now that it follows the routes of this moment. start_seconds,
        drain_seconds: how long a version may take to be ready, and to answer its last requests.
        """
        self._engine = engine
        self._shelf = shelf
        self._routes = routes
        self._in_flight = in_flight
        self._start_seconds = start_seconds
        self._drain_seconds = drain_seconds
        self._state = threading.Lock()
        self._under_way = self._closed = False
        self._deployed: Deployed = shelf.read()
        self._loaded: dict[tuple[str, str], Archive] = {}
        self._told_workers: dict[str, tuple[int, ...]] = {}

    @property
    def archives(self) -> list[Archive]:
        """What serves, a version a model."""
        return [self._loaded[name, line.current] for name, line in self._deployed.items()]

    def start(self, store: Sequence[Path], tell: Tell) -> None:
        """Load what was deployed last or, if there are any, the archives of `store` alone.

        Raises UserError where there is nothing to serve, or a version cannot be loaded.
        """
        with self._alone(wait=True):
            put = [self._shelf.put(path) for path in store]
            if put:
                self._deployed = {
                    item.name: _settled(_with(self._deployed.get(item.name), item.version))
                    for item in put
                }
            if not self._deployed:
                raise UserError("nothing was deployed yet, and there is nothing to deploy")
            self._load_all(tell)
            self._shelf.write(self._deployed)
            self._shelf.tidy(self._deployed)

    def recover(self, tell: Tell) -> None:
        """Start TorchServe again and load everything that serves; a change that is under way
        notices its end first."""
        with self._alone(wait=True):
            self._engine.start()
            self._loaded.clear()
            self._load_all(tell)
            self._shelf.write(self._deployed)

    def close(self) -> None:
        """No change from now on; one that is under way gets a moment to end."""
        self._closed = True
        self._state.acquire(timeout=_LAST_CHANGE_SECONDS)

    def deploy(self, path: Path, keep_old: bool, tell: Tell) -> dict[str, Any]:
        """Let the archive at `path` serve in the place of what has its name now.

        keep_old: the old version stays ready until the next change, so that a way back takes no
        start. Raises UserError, and nothing has changed, where the archive is no good.
        """
        with self._alone():
            found = self._shelf.put(path)
            before = self._deployed.get(found.name)
            return self._switch(found, _with(before, found.version), keep_old, tell)

    def rollback(self, name: str, keep_old: bool, tell: Tell) -> dict[str, Any]:
        """Let the version serve again that did before; raises UserError where there is none."""
        with self._alone():
            line = self._line(name)
            if line.previous is None:
                raise UserError(f"{name}: there is no version before {line.current}")
            found = self._shelf.get(name, line.previous)
            line = line.model_copy(update={"versions": line.versions[:-1]})
            return self._switch(found, line, keep_old, tell)

    def begin_trial(
        self, path: Path, role: Literal["canary", "shadow"], percent: float, tell: Tell
    ) -> dict[str, Any]:
        """Let the archive at `path` have a share of the requests beside what serves."""
        if not 0 < percent <= 100:
            raise UserError(f"percent {percent:g}: must be above 0, and 100 at most")
        with self._alone():
            found = self._shelf.put(path)
            line = self._line(found.name)
            if found.version == line.current:
                raise UserError(f"{found.name} {found.version} serves already")
            trial = Trial(version=found.version, role=role, percent=percent)
            with self._loaded_or_gone(found, tell):
                self._change({found.name: line.model_copy(update={"trial": trial})})
            self._unload_unused(found.name, frozenset(), tell)
        return {"model": found.name, **trial.model_dump()}

    def end_trial(self, name: str, tell: Tell) -> dict[str, Any]:
        """Only what serves gets requests again."""
        with self._alone():
            line = self._line(name)
            if line.trial is None:
                raise UserError(f"{name}: no version is on trial")
            self._change({name: line.model_copy(update={"trial": None})})
            self._unload_unused(name, frozenset(), tell)
        return {"model": name, **line.trial.model_dump()}

    def status(self) -> list[dict[str, Any]]:
        """Of each model its versions, what is on trial, and the workers of what is loaded."""
        deployed, loaded = dict(self._deployed), dict(self._loaded)
        return [
            {
                "model": name,
                "version": line.current,
                "before": list(reversed(line.versions[:-1])),
                "trial": line.trial and line.trial.model_dump(),
                "workers": {
                    version: [
                        {**worker, "resident": _resident(worker["pid"])}
                        for worker in self._engine.workers(archive)
                    ]
                    for (owner, version), archive in loaded.items()
                    if owner == name
                },
            }
            for name, line in deployed.items()
        ]

    def look(self) -> bool:
        """Tell the gateway which workers are ready; whether each version that serves has one.

        Nothing is looked at, and all is well, while a change is under way.
        """
        if not self._state.acquire(blocking=False):
            return True
        try:
            if not self._engine.answers():  # which is no reason to send every picture again
                return False
            workers = self._ready_workers()
            if workers != self._told_workers:
                self._publish()
            return all(workers[item.version] for item in self.archives)
        finally:
            self._state.release()

    def _switch(self, found: Archive, line: Line, keep_old: bool, tell: Tell) -> dict[str, Any]:
        before = self._deployed.get(found.name)
        old = before.current if before else None
        if old == found.version:
            tell(f"{found.name} {old} serves already")
            return {"model": found.name, "from": old, "to": old}
        with self._loaded_or_gone(found, tell):
            self._change({found.name: _settled(line)})
        try:
            self._engine.make_default(found)
        except UserError as error:  # the gateway names versions, so that nobody misses it
            tell(str(error))
        tell(f"{found.name} {found.version} serves")
        self._unload_unused(found.name, frozenset({old} if keep_old and old else ()), tell)
        return {"model": found.name, "from": old, "to": found.version}

    def _load_all(self, tell: Tell) -> None:
        for name, line in self._deployed.items():
            self._load(self._shelf.get(name, line.current), tell)
            if line.trial is None:
                continue
            try:
                self._load(self._shelf.get(name, line.trial.version), tell)
            except UserError as error:
                tell(f"{name}: the {line.trial.role} ends: {error}")
                self._deployed = self._deployed | {name: line.model_copy(update={"trial": None})}
        self._publish()

    @contextmanager
    def _loaded_or_gone(self, found: Archive, tell: Tell) -> Iterator[None]:
        """A version that is loaded for a change, and gone again where the change fails."""
        key = found.name, found.version
        new = key not in self._loaded
        self._load(found, tell)
        try:
            yield
        except BaseException:
            if new:
                self._engine.unload(self._loaded.pop(key))
            raise

    def _load(self, found: Archive, tell: Tell) -> None:
        key = found.name, found.version
        if key in self._loaded:
            return
        start = time.monotonic()
        self._engine.load(found, self._start_seconds)
        self._loaded[key] = found
        tell(f"{found.name} {found.version} is ready after {time.monotonic() - start:.1f} s")

    def _unload_unused(self, name: str, kept: frozenset[str], tell: Tell) -> None:
        """End the versions of a model that get no requests, once they have answered their last."""
        used = self._deployed[name].used | kept
        for owner, version in [key for key in self._loaded if key[0] == name]:
            if version in used:
                continue
            if not self._drained(owner, version):
                tell(f"{name} {version} has requests left after {self._drain_seconds:g} s")
            self._engine.unload(self._loaded.pop((owner, version)))
            tell(f"{name} {version} is gone")

    def _drained(self, name: str, version: str) -> bool:
        end = time.monotonic() + self._drain_seconds
        while self._in_flight(name, version):
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True

    def _change(self, lines: Deployed) -> None:
        before, self._deployed = self._deployed, self._deployed | lines
        try:
            self._shelf.write(self._deployed)
            self._publish()
        except BaseException:
            self._deployed = before
            with contextlib.suppress(OSError):
                self._shelf.write(before)
            raise
        self._shelf.tidy(self._deployed)

    def _publish(self) -> None:
        routes = tuple(self._route(name, line) for name, line in self._deployed.items())
        names, self._told_workers = list(self._deployed), self._ready_workers()
        current = Routes(
            upstream=self._engine.url,
            token=self._engine.token,
            routes=routes,
            default_model=_DEFAULT_MODEL if _DEFAULT_MODEL in names else names[0],
            workers=self._told_workers,
        )
        current.write(self._routes)

    def _ready_workers(self) -> dict[str, tuple[int, ...]]:
        return {
            item.version: tuple(sorted(self._engine.ready_workers(item)))
            for item in self._loaded.values()
        }

    def _route(self, name: str, line: Line) -> Route:
        trial, beside = line.trial, None
        if trial is not None:
            model = _served(self._loaded[name, trial.version])
            beside = Beside(model=model, role=trial.role, percent=trial.percent)
        main = self._loaded[name, line.current]
        return Route(main=_served(main), capacity=_capacity(main), beside=beside)

    def _line(self, name: str) -> Line:
        try:
            return self._deployed[name]
        except KeyError:
            names = ", ".join(self._deployed)
            raise UserError(f"no model {name} is served; there are: {names}") from None

    @contextmanager
    def _alone(self, wait: bool = False) -> Iterator[None]:
        """Nobody else changes or looks; who does not `wait` for another change is refused."""
        if self._closed or (self._under_way and not wait):
            raise UserError("another change is under way; try again when it is done")
        with self._state:
            self._under_way = True
            try:
                yield
            finally:
                self._under_way = False


def _with(line: Line | None, version: str) -> Line:
    """`line` with one more version, of which the latest are kept."""
    if line is None:
        return Line(versions=(version,))
    if line.current == version:
        return line
    return line.model_copy(update={"versions": (*line.versions, version)[-_KEPT_VERSIONS:]})


def _settled(line: Line) -> Line:
    """`line`, its trial over where the version on trial serves now."""
    over = line.trial is not None and line.trial.version == line.current
    return line.model_copy(update={"trial": None}) if over else line


def _resident(pid: int) -> int:
    """Bytes; TorchServe itself says 0, for it runs without the metrics of the system."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, ValueError):  # it has ended, or has not begun
        return 0


def _served(archive: Archive) -> ServedModel:
    facts = archive.settings.handler.model_dump(include={"side", "max_pixels", "attention"})
    return ServedModel(name=archive.name, version=archive.version, **facts)


def _capacity(archive: Archive) -> int:
    settings = archive.settings
    return settings.max_workers * settings.batch_size + settings.job_queue_size
