"""Repeat the pipeline by the cron line in prefect.yaml: `python -m flows.schedule`.

Serves the deployments of prefect.yaml from this process until Ctrl-C. Without PREFECT_API_URL it
starts a Prefect server of its own, on loopback.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx
import yaml

from flows import ROOT, lost_runs, runner
from sparnet.errors import UserError, exits_on_user_error

PORT = 4200
_START_SECONDS = 120
_END_SECONDS = 30


def deployment(path: Path) -> dict[str, Any]:
    """The first deployment of a prefect.yaml, as arguments of `flow.serve`."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.schedules import Cron

    described = yaml.safe_load(path.read_text())["deployments"][0]
    return {
        "name": described["name"],
        "description": described.get("description"),
        "parameters": described.get("parameters"),
        "schedules": [
            Cron(each["cron"], timezone=each.get("timezone"), active=each.get("active", True))
            for each in described["schedules"]
        ],
        "global_limit": ConcurrencyLimitConfig(**described["concurrency_limit"]),
    }


@contextmanager
def server(port: int) -> Iterator[str]:
    """A Prefect server on 127.0.0.1; yields the address of its API once it answers."""
    address = f"http://127.0.0.1:{port}"
    _check_free(port)
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--analytics-off"]
    log = Path(os.environ["PREFECT_HOME"]) / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, runner.group(command, output=output) as process:
        _wait_until_healthy(address, process, log)
        yield f"{address}/api"


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"port {port} is taken; give another with --port, or PREFECT_API_URL to use "
                "the Prefect server that runs there"
            ) from None


def _wait_until_healthy(address: str, process: subprocess.Popen[str], log: Path) -> None:
    with httpx.Client(trust_env=False, timeout=2) as client:
        for _ in range(_START_SECONDS * 4):
            try:
                if client.get(f"{address}/api/health").is_success:
                    return
            except httpx.TransportError:
                pass
            try:
                process.wait(0.25)
            except subprocess.TimeoutExpired:
                continue
            raise UserError(f"the Prefect server ended; see {log}")
    raise UserError(f"the Prefect server does not answer; see {log}")


def serve(path: Path) -> None:
    """Serve the deployment of `path` with the server of PREFECT_API_URL, until interrupted."""
    # Prefect reads PREFECT_API_URL when it is imported, so not before.
    from prefect.deployments.runner import EntrypointType

    from flows.pipeline import pipeline

    try:
        pipeline.serve(paused=False, entrypoint_type=EntrypointType.MODULE_PATH, **deployment(path))
    finally:
        _end_runs()


def _end_runs() -> None:
    """End the runs at work, which Prefect leaves behind, while its server can hear of it."""
    runs = multiprocessing.active_children()
    for run in runs:
        run.terminate()
    for run in runs:
        run.join(_END_SECONDS)
        run.kill()


@exits_on_user_error
def main(arguments: list[str] | None = None) -> int:
    """Serve the schedule; exit status 0 after Ctrl-C, 2 on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m flows.schedule", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=PORT, help="of the Prefect server (%(default)s)"
    )
    port = parser.parse_args(arguments).port
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if os.environ.get("PREFECT_API_URL"):
            serve(ROOT / "prefect.yaml")
            return 0
        with server(port) as address:
            os.environ["PREFECT_API_URL"] = address
            lost_runs.close()
            lost_runs.watch()
            print(f"schedule: runs and logs at http://127.0.0.1:{port}; Ctrl-C ends it", flush=True)
            serve(ROOT / "prefect.yaml")
    except KeyboardInterrupt:
        pass
    return 0


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
