"""What is here: the last results, the MLflow pages, the state of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sparnet.cli.options import PARAMS
from sparnet.errors import UserError


def results() -> None:
    """Print the table of the last evaluation and where everything is."""
    from sparnet.evaluation.report import markdown_table

    path = Path("reports/metrics.json")
    try:
        metrics = json.loads(path.read_text())
    except OSError:
        raise UserError(f"{path}: no evaluation yet; `make run` makes one") from None
    print()
    print(markdown_table(metrics))
    print()
    print(f"report:     {Path('reports/index.html').resolve()}")
    print("runs:       `make ui` opens the MLflow pages")
    print("serve:      `make serve` starts TorchServe with both models")


def ui(port: Annotated[int, typer.Option(help="on loopback")] = 5000) -> None:
    """Open the MLflow pages on loopback, until Ctrl-C."""
    from sparnet import config, tracking

    settings = config.load(PARAMS).tracking
    uri = os.environ.get("MLFLOW_TRACKING_URI") or settings.uri
    page = tracking.runs_page(uri, settings.experiment)
    if uri.startswith(("http://", "https://")):
        print(f"MLflow runs elsewhere: {uri.rstrip('/')}{page}")
        return
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    print(f"MLflow: http://127.0.0.1:{port}{page} (Ctrl-C stops it)", flush=True)
    try:
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def doctor() -> None:
    """Check this machine: Python, packages, device, Java, disk, parameters."""
    from sparnet import diagnosis

    findings = diagnosis.examine(PARAMS)
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'} {finding.what}: {finding.detail}")
    raise typer.Exit(0 if all(finding.good for finding in findings) else 1)
