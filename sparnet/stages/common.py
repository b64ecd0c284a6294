"""What every stage shares: `params.yaml` of the current folder in, an exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sparnet import config
from sparnet.errors import exits_on_user_error


def run(main: Callable[[config.Params], None]) -> NoReturn:
    """Call `main` with the parameters and exit: 0, 2 on a UserError (one line), 130 on Ctrl-C."""

    @exits_on_user_error
    def command() -> None:
        main(config.load())

    try:
        sys.exit(command())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def tracking_of(params: config.Params) -> config.Tracking:
    """The tracking block, MLFLOW_TRACKING_URI winning over its address."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or params.tracking.uri
    return config.Tracking(uri=_in_project(uri), experiment=params.tracking.experiment)


def project() -> Path:
    """The project's folder: "" where it is the current one.

    DVC runs a queued experiment in a temporary copy of the project, which it deletes afterwards;
    DVC_ROOT names the project itself.
    """
    return Path(os.environ.get("DVC_ROOT", ""))


def _in_project(uri: str) -> str:
    """With the path of an SQLite file taken from the project's folder."""
    scheme = "sqlite:///"
    if not uri.startswith(scheme):
        return uri
    return f"{scheme}{project() / uri.removeprefix(scheme)}"
