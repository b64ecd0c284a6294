"""Opening an MLflow store: quietly, with artifacts beside a local database."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sparnet.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
}

_NOTE = """\
**Runs.** `sparnet`, `sparnethd`: trainings. `bicubic`, `degraded`: what each must beat on the test
pictures, its own input enlarged. Pictures are in the tab *Model metrics*: move the slider.

| metric | meaning |
|---|---|
| `test/psnr`, `val/psnr` | dB, mean over the pictures; larger is better |
| `test/ssim`, `val/ssim` | -1 to 1; larger is better |
| `test/identity` | cosine of the face embeddings of output and original; larger is better |
| `test/landmark_error` | of five points, in distances between the eyes; smaller is better |
| `test/faces_compared` | pictures behind these two: original, output and input show a face |
| `test/faces_found_share` | of the originals with a face, the share whose output shows one |
| `drift/...` | distance of the training faces from the champion's, as the model was registered |
| `train/...` | means since the logged step before; steps are updates |
"""


def client(uri: str) -> MlflowClient:
    """A client of the store, with MLflow's telemetry, bars and chatter off."""
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of the experiment `name`, made where it is missing, with a note on its metrics."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = _artifacts_beside(uri)
    tags = {"mlflow.note.content": _NOTE}
    return str(client.create_experiment(name, artifact_location=place, tags=tags))


def is_absent(uri: str) -> bool:
    """Whether the store is an SQLite file that is not there yet: it holds nothing."""
    return uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).exists()


def runs_page(uri: str, experiment_name: str) -> str:
    """Where MLflow's pages show the experiment's runs: what follows the server's address.

    Without it they open on language models. Raises UserError where the store cannot be reached.
    """
    with reaching(uri):
        experiment_id = experiment(client(uri), uri, experiment_name)
    return f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def _artifacts_beside(uri: str) -> str | None:
    """The folder `mlartifacts` beside an SQLite file; for a server None: it knows its own place."""
    if not uri.startswith(_SQLITE):
        return None
    database = Path(uri.removeprefix(_SQLITE))
    return (database.resolve().parent / "mlartifacts").as_uri()


def refusal() -> type[Exception]:
    """What MLflow raises where the store cannot be reached or refuses."""
    from mlflow.exceptions import MlflowException

    return MlflowException


def told(uri: str, error: Exception) -> UserError:
    return UserError(f"MLflow at {uri}: {_line(error)}")


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Within, a store that cannot be reached or refuses is a UserError."""
    try:
        yield
    except (refusal(), OSError) as error:
        raise told(uri, error) from None


@contextmanager
def warned(what: str) -> Iterator[None]:
    """Within, a store that cannot be reached or refuses costs `what` and a line on stderr."""
    try:
        yield
    except refusal() as error:
        print(f"warning: MLflow did not take {what}: {_line(error)}", file=sys.stderr)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
