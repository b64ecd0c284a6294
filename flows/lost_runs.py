"""Runs whose process or machine is lost end as "Crashed", not as "Running" for ever."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from flows import ROOT

if TYPE_CHECKING:
    from prefect.client.schemas.filters import FlowRunFilter

AUTOMATIONS = ROOT / "infra" / "prefect" / "automations.yaml"


def watch(path: Path = AUTOMATIONS) -> None:
    """Make the automations of `path` whose names the Prefect server does not know."""
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore

    with get_client(sync_client=True) as client:
        for described in yaml.safe_load(path.read_text())["automations"]:
            if not client.read_automations_by_name(described["name"]):
                client.create_automation(AutomationCore.model_validate(described))


def close() -> None:
    """End the deployments' runs that the Prefect server holds to be at work.

    Only for a server that has just started and that nobody uses yet: such runs were lost together
    with the server before it, which could not see that their heartbeats stopped.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled, Crashed

    message = "lost together with the Prefect server"
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=_at_work()):
            end = Cancelled if run.state is not None and run.state.is_cancelling() else Crashed
            client.set_flow_run_state(run.id, end(message=message))


def _at_work() -> FlowRunFilter:
    """Runs of deployments: others may belong to a flow that somebody runs by hand right now."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    types = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    return filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=types)),
        deployment_id=filters.FlowRunFilterDeploymentId(is_null_=False),
    )
