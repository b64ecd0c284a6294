"""Runs in MLflow that resume without duplicates."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sparnet.images import Picture
from sparnet.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]

WEIGHTS_TAG = "weights_sha256"
LAST_WEIGHTS_TAG = "last_weights_sha256"
_COLUMNS = {"stage": "mlflow.source.name", "git_commit": "mlflow.source.git.commit"}
"""Tags that MLflow shows under its own names, in the columns Source and Version."""
_IMAGE_FILE = re.compile(r"images/(?P<key>.+)\+step\+(?P<step>\d+)\+timestamp\+.*\+compressed\.")


class Tracker(Protocol):
    """Where a training writes what a person looks at while it runs."""

    def log_metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def log_image(self, key: str, image: Picture, step: int) -> None: ...
    def flush(self) -> None:
        """Return once everything logged so far is held by the store."""


class NullTracker:
    """Keeps nothing."""

    def log_metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def log_image(self, key: str, image: Picture, step: int) -> None: ...
    def flush(self) -> None: ...


@dataclass
class MlflowRun:
    """A run in the store. What a resumed run already holds is not written a second time."""

    client: MlflowClient
    run_id: str
    _held_steps: dict[str, set[int]] = field(default_factory=dict)
    _held_images: set[tuple[str, int]] = field(default_factory=set)
    _pending: list[Any] = field(default_factory=list)
    _finished_at: int | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log nested settings as flat parameters, `train.optimizer.lr`; None is not logged."""
        from mlflow.entities import Param

        flat = [Param(key, str(value)) for key, value in flatten(params) if value is not None]
        self.client.log_batch(self.run_id, params=flat)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_tag(self.run_id, key, value)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log values at `step` in the background; those the run holds at that step are left out."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = []
        for key, value in values.items():
            held = self._held_steps.setdefault(key, set())
            if step not in held:
                held.add(step)
                metrics.append(Metric(key, value, now, step))
        if metrics:
            self._pending.append(
                self.client.log_batch(self.run_id, metrics=metrics, synchronous=False)
            )

    def log_results(self, values: Mapping[str, float]) -> None:
        """Log final values, which replace earlier ones of the same names."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(key, value, now, 0) for key, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics)

    def log_image(self, key: str, image: Picture, step: int) -> None:
        """Log a uint8 HxWx3 picture for the image grid, once a key and step."""
        if (key, step) not in self._held_images:
            self._held_images.add((key, step))
            with store.warned(f"picture {key} of step {step}"):
                self.client.log_image(self.run_id, image, key=key, step=step)

    def log_dataset(self, name: str, digest: str, source: str, context: str) -> None:
        """Say which data the run used, `context` being what for, like "training"."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        # MLflow shows digests of at most 36 characters.
        dataset = Dataset(name, digest[:36], source_type="local", source=source)
        tags = [InputTag("mlflow.data.context", context)]
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        self.client.log_artifact(self.run_id, str(path), folder)

    def flush(self) -> None:
        """Wait for the metrics under way. What the store refuses is told and let go: a tracking
        server that is away must not end a training."""
        pending, self._pending = self._pending, []
        for operation in pending:
            with store.warned("metrics"):
                operation.wait()

    def end(self, status: Status) -> None:
        """End the run now; one that had finished before it was taken up ends when it did then."""
        self.flush()
        with store.warned(f"the end of run {self.run_id}"):
            self.client.set_terminated(self.run_id, status, self._finished_at)

    def take_up(self) -> None:
        """Learn what the run holds already and mark it as running again."""
        run = self.client.get_run(self.run_id)
        if run.info.status == "FINISHED":
            self._finished_at = run.info.end_time
        for key in run.data.metrics:
            history = self.client.get_metric_history(self.run_id, key)
            self._held_steps[key] = {metric.step for metric in history}
        for artifact in self.client.list_artifacts(self.run_id, "images"):
            if found := _IMAGE_FILE.match(artifact.path):
                self._held_images.add((found["key"].replace("~", "/"), int(found["step"])))
        self.client.update_run(self.run_id, status="RUNNING")


@contextmanager
def run(
    uri: str,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    resume: str | None = None,
    stopped: type[BaseException] = KeyboardInterrupt,
) -> Iterator[MlflowRun]:
    """A new run `name`, or the run with the id `resume` where the store still has it.

    It ends as finished, as killed on `stopped` or Ctrl-C, else as failed. Raises UserError where
    the store cannot be reached at the start, or refuses anything but pictures and step metrics.
    """
    with store.reaching(uri):
        client = store.client(uri)
        experiment_id = store.experiment(client, uri, experiment)
        tracked = _existing(client, resume) or _created(client, experiment_id, name, tags)
    status: Status = "FAILED"
    try:
        yield tracked
        status = "FINISHED"
    except (KeyboardInterrupt, stopped):
        status = "KILLED"
        raise
    except store.refusal() as error:
        raise store.told(uri, error) from None
    finally:
        tracked.end(status)


def find_run_by_weights(uri: str, experiment: str, sha256: str) -> str | None:
    """Id of the newest run whose best or last weights have this hash, or None."""
    return find_run(uri, experiment, WEIGHTS_TAG, sha256) or find_run(
        uri, experiment, LAST_WEIGHTS_TAG, sha256
    )


def find_run(uri: str, experiment: str, tag: str, value: str) -> str | None:
    """Id of the newest run with this tag, or None. Raises UserError for an unreachable store."""
    with store.reaching(uri):
        client = store.client(uri)
        runs = client.search_runs(
            [store.experiment(client, uri, experiment)],
            f"tags.{tag} = '{value}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
    return str(runs[0].info.run_id) if runs else None


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf of nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def git_commit(folder: Path) -> str:
    """The commit checked out in `folder`, "-dirty" where tracked files differ; else "unknown"."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _created(
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]
) -> MlflowRun:
    shown = {column: tags[tag] for tag, column in _COLUMNS.items() if tag in tags}
    run = client.create_run(experiment_id, tags={**tags, **shown}, run_name=name)
    return MlflowRun(client, run.info.run_id)


def _existing(client: MlflowClient, run_id: str | None) -> MlflowRun | None:
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    tracked = MlflowRun(client, run_id)
    try:
        tracked.take_up()
    except MlflowException:
        return None
    return tracked
