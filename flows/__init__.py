"""The DVC graph as a Prefect flow.

Prefect reads its settings when it is imported, so the defaults for this project are set here:
nothing is sent anywhere, the server's database is in `.state/prefect`, a run is heard of every
minute, and on the console a line begins with its stage. What the environment already says wins.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

QUIET = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
_PREFECT = {
    "PREFECT_HOME": str(ROOT / ".state" / "prefect"),
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(message)s",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(task_name)s | %(message)s",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
for _name, _value in (QUIET | _PREFECT).items():
    os.environ.setdefault(_name, _value)

# Prefect makes this folder, but not the one above it.
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
