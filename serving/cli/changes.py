"""The commands that ask a running server what it serves, and change that."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from serving.control.admin import NDJSON
from serving.session import find_admin
from sparnet.errors import UserError
from sparnet.remote.local import DEFAULT_FOLDER, Address

Server = Annotated[Path, typer.Option("--session", help="the server's folder")]
MarFile = Annotated[Path, typer.Argument(metavar="MODEL.mar", help="archive; see `make run`")]
Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="of a model; may be left out where one is served"),
]
KeepOld = Annotated[
    bool, typer.Option("--keep-old", help="the old version stays ready until the next change")
]
Percent = Annotated[float, typer.Option(help="of the requests, above 0 and 100 at most")]


def deploy(
    archive: MarFile,
    keep_old: KeepOld = False,
    session: Server = DEFAULT_FOLDER,
) -> None:
    """Let this archive serve in the place of its model's version of now, without a gap."""
    order = {"archive": str(archive.resolve()), "keep_old": keep_old}
    done = _change(find_admin(session), "deploy", order)
    print(f"{done['model']}: {done['to']} serves, before it {done['from'] or 'none'}")


def rollback(
    model: Name = None, keep_old: KeepOld = False, session: Server = DEFAULT_FOLDER
) -> None:
    """Let the version before serve again."""
    admin = find_admin(session)
    order = {"model": model or _only(admin), "keep_old": keep_old}
    done = _change(admin, "rollback", order)
    print(f"{done['model']}: {done['to']} serves again instead of {done['from']}")


def canary(archive: MarFile, percent: Percent = 5.0, session: Server = DEFAULT_FOLDER) -> None:
    """Let this archive answer a share of the requests; `deploy` it to let it answer all."""
    _begin(archive, "canary", percent, session)


def shadow(archive: MarFile, percent: Percent = 100.0, session: Server = DEFAULT_FOLDER) -> None:
    """Let this archive restore pictures of clients too, which only the metrics see."""
    _begin(archive, "shadow", percent, session)


def end_trial(model: Name = None, session: Server = DEFAULT_FOLDER) -> None:
    """End the canary or shadow of a model."""
    admin = find_admin(session)
    done = _change(admin, "trial/end", {"model": model or _only(admin)})
    print(f"{done['model']}: {done['version']} was {done['role']}, and is gone")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    session: Server = DEFAULT_FOLDER,
) -> None:
    """What serves, what served before, what is on trial, and the workers."""
    models = _status(find_admin(session))
    if as_json:
        print(json.dumps(models, indent=2))
        return
    for model in models:
        print(f"{model['model']}: {model['version']}{_trial(model)}")
        for version, workers in model["workers"].items():
            told = ", ".join(
                f"{item['status']} {item['resident'] / 1e6:.0f} MB" for item in workers
            )
            print(f"  {version}  workers: {told or 'none'}")
        print(f"  before: {', '.join(model['before']) or 'none'}")


COMMANDS = (deploy, rollback, canary, shadow, end_trial, status)


def _begin(archive: Path, role: str, percent: float, session: Path) -> None:
    order = {"archive": str(archive.resolve()), "role": role, "percent": percent}
    done = _change(find_admin(session), "trial", order)
    print(f"{done['model']}: {done['version']} is {done['role']} with {done['percent']:g} %")


def _trial(model: dict[str, Any]) -> str:
    trial = model["trial"]
    return f", {trial['role']} {trial['version']} {trial['percent']:g} %" if trial else ""


def _only(admin: Address) -> str:
    """The one model that is served; raises UserError where there are more."""
    names = [str(model["model"]) for model in _status(admin)]
    if len(names) != 1:
        raise UserError(f"which model? name one: {', '.join(names)}")
    return names[0]


def _status(admin: Address) -> list[dict[str, Any]]:
    with _client(admin) as client, _telling(admin):
        answer = client.get("/v1/status")
        _raise_for_problem(answer)
        models: list[dict[str, Any]] = answer.json()["models"]
        return models


def _change(admin: Address, what: str, order: dict[str, Any]) -> dict[str, Any]:
    """Ask for a change, tell each of its steps, and return what came of it."""
    with (
        _telling(admin),
        _client(admin) as client,
        client.stream("POST", f"/v1/{what}", json=order) as answer,
    ):
        if answer.headers.get("content-type") != NDJSON:
            answer.read()
            _raise_for_problem(answer)
        for text in answer.iter_lines():
            line = json.loads(text)
            if "error" in line:
                raise UserError(str(line["error"]))
            if "done" in line:
                done: dict[str, Any] = line["done"]
                return done
            print(line["step"], flush=True)
    raise UserError(f"{admin.url}: the server ended before the change; see `serving status`")


def _client(admin: Address) -> httpx.Client:
    return httpx.Client(
        base_url=admin.url,
        headers={"Authorization": admin.authorization},
        timeout=httpx.Timeout(10.0, read=None),
        trust_env=False,
    )


@contextlib.contextmanager
def _telling(admin: Address) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{admin.url}: no answer ({reason}); is the server up?") from None


def _raise_for_problem(answer: httpx.Response) -> None:
    if answer.is_error:
        try:
            told = answer.json()["detail"]
        except (ValueError, LookupError, TypeError):
            told = answer.text
        raise UserError(f"{answer.status_code}: {told}")
