from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from working import AtWork

from flows import lost_runs

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("prefect_api")]

SECONDS = 10
"""The shortest time that Prefect takes for a missed heartbeat."""


@pytest.fixture
def client(prefect_api: str) -> Iterator[SyncPrefectClient]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        assert str(client.api_url).startswith(prefect_api)
        yield client


@pytest.fixture
def impatient(client: SyncPrefectClient, tmp_path: Path) -> Iterator[Path]:
    """The project's automation under another name, which waits for a few seconds only."""
    described = yaml.safe_load(lost_runs.AUTOMATIONS.read_text())
    [automation] = described["automations"]
    automation["name"] = "impatient"
    automation["trigger"]["within"] = SECONDS
    path = tmp_path / "automations.yaml"
    path.write_text(yaml.safe_dump(described))
    yield path
    for made in client.read_automations_by_name("impatient"):
        client.delete_automation(made.id)


async def event(name: str, since: datetime) -> str:
    """The resource of the first event of this name since then, waited for."""
    from prefect.events.clients import get_events_subscriber
    from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter

    wanted = EventFilter(
        occurred=EventOccurredFilter(since=since), event=EventNameFilter(name=[name])
    )
    async with asyncio.timeout(90), get_events_subscriber(filter=wanted) as events:
        async for found in events:
            return found.resource.id
    raise AssertionError(f"no {name}")


def test_a_run_whose_process_was_killed_crashes(
    client: SyncPrefectClient,
    impatient: Path,
    request: pytest.FixtureRequest,
) -> None:
    lost_runs.watch(impatient)
    since = datetime.now(UTC)
    at_work: AtWork = request.getfixturevalue("at_work")
    process = at_work.flow
    beating = asyncio.run(event("prefect.flow-run.heartbeat", since))
    process.kill()
    crashed = asyncio.run(event("prefect.flow-run.Crashed", since))
    assert crashed == beating
    run = client.read_flow_run(crashed.removeprefix("prefect.flow-run."))  # type: ignore[arg-type]
    assert run.state is not None
    assert run.state.is_crashed()
    assert "no heartbeat" in str(run.state.message)


def test_the_automation_is_made_once(client: SyncPrefectClient) -> None:
    lost_runs.watch()
    lost_runs.watch()
    [made] = client.read_automations_by_name("lost-runs")
    assert made.enabled


def test_prefects_own_command_makes_the_automation(
    client: SyncPrefectClient, impatient: Path, prefect_api: str
) -> None:
    command = [sys.executable, "-m", "prefect", "automation", "create", "--from-file"]
    environment = os.environ | {"PREFECT_API_URL": prefect_api}
    subprocess.run([*command, str(impatient)], env=environment, check=True)
    assert len(client.read_automations_by_name("impatient")) == 1


def test_heartbeats_are_on_and_come_often_enough() -> None:
    from prefect.settings import get_current_settings

    own = get_current_settings().flows.heartbeat_frequency
    [deployment] = yaml.safe_load((lost_runs.ROOT / "prefect.yaml").read_text())["deployments"]
    workers = deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    [automation] = yaml.safe_load(lost_runs.AUTOMATIONS.read_text())["automations"]
    assert own == int(workers)
    assert own * 3 <= automation["trigger"]["within"]


def test_a_new_server_ends_the_scheduled_runs_of_the_one_before(
    client: SyncPrefectClient,
) -> None:
    from prefect.states import Running

    from flows.pipeline import pipeline

    by_hand = client.create_flow_run(pipeline, state=Running())
    deployment = client.create_deployment(by_hand.flow_id, "scheduled")
    scheduled = client.create_flow_run_from_deployment(deployment, state=Running())
    lost_runs.close()
    names = [client.read_flow_run(run.id).state_name for run in (scheduled, by_hand)]
    assert names == ["Crashed", "Running"]
