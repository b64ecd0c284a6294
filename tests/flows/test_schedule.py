from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from sparnet.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENT = "pipeline/nightly"


def until(found: Callable[[], Any], process: subprocess.Popen[str], attempts: int = 240) -> Any:
    """The first true answer of `found`, asked again while the process lives."""
    for _ in range(attempts):
        if answer := found():
            return answer
        try:
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError("it never came")


class Schedule:
    """A running `python -m flows.schedule` and the API of its server."""

    def __init__(self, process: subprocess.Popen[str], api: str) -> None:
        self.process = process
        self.client = httpx.Client(base_url=api, trust_env=False, timeout=20)

    def post(self, path: str, **content: Any) -> Any:
        """The answer, or None where the server is not up or has just dropped the connection."""
        try:
            answer = self.client.post(path, json=content)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def deployment(self) -> dict[str, Any]:
        return until(lambda: self.post("/deployments/filter"), self.process)[0]

    def runs(self, state: str) -> list[dict[str, Any]]:
        asked = {"state": {"type": {"any_": [state]}}}
        return self.post("/flow_runs/filter", flow_runs=asked) or []


@pytest.fixture(scope="module")
def folder(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline takes long; `pid` holds the process of the long stage."""
    folder = tmp_path_factory.mktemp("scheduled")
    stages = "stages:\n  long:\n    cmd: echo $$ > pid.part; mv pid.part pid; sleep 300\n"
    subprocess.run(["cp", "-r", f"{template}/.git", f"{template}/.dvc", folder], check=True)
    (folder / "dvc.yaml").write_text(stages)
    return folder


@pytest.fixture(scope="module")
def schedule(
    folder: Path, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Schedule]:
    port = free_port()
    home = tmp_path_factory.mktemp("prefect")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.schedule", "--port", str(port)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        | {"PREFECT_HOME": str(home), "PREFECT_RUNNER_POLL_FREQUENCY": "1"},
        stdout=subprocess.DEVNULL,
        text=True,
    )
    started = [psutil.Process(process.pid)]
    try:
        yield Schedule(process, f"http://127.0.0.1:{port}/api")
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            started += started[0].children(recursive=True)
        for each in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@pytest.mark.service
def test_the_cron_line_really_schedules_runs(schedule: Schedule) -> None:
    deployment = schedule.deployment()
    assert deployment["name"] == "nightly"
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    run = until(lambda: schedule.runs("SCHEDULED"), schedule.process)[0]
    due = datetime.fromisoformat(run["state"]["state_details"]["scheduled_time"])
    assert (due.hour, due.minute) == (3, 0)


@pytest.mark.service
def test_its_server_watches_for_lost_runs(schedule: Schedule) -> None:
    schedule.deployment()
    assert [each["name"] for each in schedule.post("/automations/filter")] == ["lost-runs"]


@pytest.mark.service
def test_a_cancelled_run_leaves_no_process(
    schedule: Schedule, folder: Path, running: Callable[[int], bool]
) -> None:
    run, pid = start(schedule, folder)
    cancelling = {"type": "CANCELLING"}
    until(lambda: schedule.post(f"/flow_runs/{run}/set_state", state=cancelling), schedule.process)
    until(lambda: not running(pid), schedule.process)
    until(lambda: run in {each["id"] for each in schedule.runs("CANCELLED")}, schedule.process)


@pytest.mark.service
def test_ending_the_schedule_ends_its_server_and_its_run(
    schedule: Schedule, folder: Path, running: Callable[[int], bool]
) -> None:
    _, pid = start(schedule, folder)
    children = psutil.Process(schedule.process.pid).children(recursive=True)
    assert len(children) >= 3
    schedule.process.send_signal(signal.SIGTERM)
    schedule.process.wait(timeout=60)
    assert not running(pid)
    assert psutil.wait_procs(children, timeout=20)[1] == []


def start(schedule: Schedule, folder: Path) -> tuple[str, int]:
    """Run the deployment now; the flow run's id and the long stage's process."""
    (folder / "pid").unlink(missing_ok=True)
    path, once = f"/deployments/{schedule.deployment()['id']}/create_flow_run", str(uuid4())
    created = until(lambda: schedule.post(path, idempotency_key=once), schedule.process)
    until((folder / "pid").exists, schedule.process)
    return created["id"], int((folder / "pid").read_text())


def test_a_taken_port_is_a_users_mistake() -> None:
    from flows import schedule

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is taken"), schedule.server(port):
            pass


@pytest.mark.service
def test_prefects_own_command_accepts_the_deployments(prefect_api: str) -> None:
    environment = os.environ | {"PREFECT_API_URL": prefect_api}
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    for command in (["work-pool", "create", "sparnet", "--type", "process"], ["deploy", "--all"]):
        subprocess.run([*prefect, *command], cwd=ROOT, env=environment, check=True)
    answer = httpx.get(f"{prefect_api}/deployments/name/{DEPLOYMENT}", trust_env=False)
    assert answer.json()["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
