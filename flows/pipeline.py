"""The whole pipeline as a Prefect flow: `python -m flows.pipeline [--target STAGE] [--force]`.

The flow is made from the DVC graph: a task a stage, in the graph's order. DVC decides what has to
run; a stage whose params, code and data are as they were ends as "Unchanged".
"""

from __future__ import annotations

import argparse
import logging
import re
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import graph, runner
from flows.graph import Stage
from sparnet.data.validation import drift_report
from sparnet.errors import UserError, exits_on_user_error

_USER_ERROR = re.compile(r"exited with 2\b")  # DVC's words for a stage that a UserError ended
_FROM_CACHE = "is cached - skipping run"
_AS_IT_WAS = "Stage '{}' didn't change, skipping"
_ADVICE = ("To track the", "git add", "To enable auto", "dvc config", "Use `dvc push`")


class StageFailed(Exception):
    """A stage ended badly; `is_final`: it would do so again."""

    def __init__(self, stage: str, status: int, last_lines: str) -> None:
        super().__init__(f"stage {stage} failed with exit status {status}")
        self.is_final = _USER_ERROR.search(last_lines) is not None


class _WithoutTraceback(logging.Filter):
    """A failed stage has told its story already; where in this file it was noticed says nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], StageFailed | UserError):
            record.exc_info = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_WithoutTraceback())


@dataclass(frozen=True)
class Result:
    """How a stage ended, for the summary."""

    stage: str
    state: str
    seconds: float | None = None
    runs: int = 0


@flow(name="pipeline", log_prints=False)
def pipeline(target: str | None = None, force: bool = False, refresh: bool = False) -> None:
    """Bring every stage (or `target` and what it needs) up to date, in the current folder.

    With `refresh`, stages that bring in data run even where nothing here has changed: a server or
    a bucket may have more. What they bring decides whether the stages after them run.

    Stops at the first stage that fails, after the summary is written.
    """
    stages = graph.read(Path.cwd(), target)
    results: list[Result] = []
    failure: State[Any] | None = None
    for stage in stages:
        if failure is not None:
            results.append(Result(stage.name, "Not run"))
            continue
        state, result = _run(stage, force or (refresh and stage.refreshes))
        results.append(result)
        failure = state if state.is_failed() or state.is_crashed() else None
    _summarize(results)
    _show_drift(drift_report.read(Path("reports/drift"), Path("reports/validation/profile.json")))
    if failure is not None:
        failure.result()


def _run(stage: Stage, force: bool) -> tuple[State[Any], Result]:
    """Run the stage's task, called directly so that a cancelled run reaches its processes."""
    attempts: list[int] = []
    started = time.monotonic()
    state = reproduce.with_options(
        name=stage.name,
        task_run_name=stage.name,
        description=stage.description,
        retries=stage.retries,
        retry_delay_seconds=stage.retry_delay,
        retry_condition_fn=_may_succeed,
        tags=list(stage.tags),
    )(stage.name, force, attempts, return_state=True)
    seconds = round(time.monotonic() - started, 1)
    return state, Result(stage.name, state.name or state.type.value, seconds, len(attempts))


@task(cache_policy=NO_CACHE, persist_result=False)
def reproduce(stage: str, force: bool, attempts: list[int]) -> Any:
    """Let DVC bring one stage up to date, its output in the task's log.

    `attempts` grows by one entry whenever the stage is really run. Raises StageFailed.
    """
    logger = get_run_logger()
    attempts.append(1)
    last_lines: deque[str] = deque(maxlen=50)

    def tell(line: str) -> None:
        last_lines.append(line)
        if line and not line.strip().startswith(_ADVICE):
            logger.info(line)

    options = ["--single-item", *(["--force"] if force else [])]
    status = runner.run([*graph.DVC, "--wait-for-lock", "repro", *options, stage], tell)
    if status:
        raise StageFailed(stage, status, "\n".join(last_lines))
    if _AS_IT_WAS.format(stage) in last_lines:
        attempts.pop()
        return Completed(name="Unchanged", message="params, code and data are as they were")
    if any(_FROM_CACHE in line for line in last_lines):
        return Completed(name="Cached", message="these inputs ran before; their outputs are back")
    return Completed(message="ran")


def _may_succeed(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether another attempt makes sense: not after a mistake that only the user can mend."""
    failure = state.result(raise_on_failure=False)
    return not (isinstance(failure, StageFailed) and failure.is_final)


def _summarize(results: list[Result]) -> None:
    """The summary as an artifact of the flow run and on the console."""
    table = [
        {
            "stage": result.stage,
            "state": result.state,
            "seconds": "" if result.seconds is None else result.seconds,
            "runs": result.runs,
        }
        for result in results
    ]
    create_table_artifact(table, key="pipeline-summary", description="How each stage ended")
    width = max(len(result.stage) for result in results)
    for result in results:
        seconds = "" if result.seconds is None else f"{result.seconds:8.1f} s"
        get_run_logger().info(f"{result.stage:{width}}  {result.state:10}{seconds}")


def _show_drift(comparisons: list[dict[str, Any]]) -> None:
    """How far today's data are from each champion's, as an artifact and in the log."""
    table = [
        {"champion": f"{model} {version}"}
        | {key: row[key] for key in ("quantity", "reference", "new", "distance", "limit", "status")}
        for comparison in comparisons
        for model, version in comparison["champions"].items()
        for row in comparison["rows"]
    ]
    if not table:
        return
    create_table_artifact(table, key="data-drift", description="The data beside the champion's")
    over = [f"{row['quantity']} ({row['champion']})" for row in table if row["status"] == "failed"]
    get_run_logger().info(f"drift over the limit: {', '.join(over) or 'none'}")


@exits_on_user_error
def main(arguments: list[str] | None = None) -> int:
    """Run the pipeline; exit status 0, 1 where a stage failed, 2 on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description=pipeline.__doc__)
    parser.add_argument("--target", metavar="STAGE", help="this stage and what it needs")
    parser.add_argument("--force", action="store_true", help="run stages that are up to date too")
    parser.add_argument("--refresh", action="store_true", help="ask the sources for new data")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        pipeline(options.target, options.force, options.refresh)
    except StageFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
