"""What Prometheus reads at /metrics; a registry of its own, with nothing of the process.

No label holds anything that a client wrote: models and versions are those that are served, outcomes
and roles are a few words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from serving.gateway.limits import Gate
from serving.gateway.visit import Visit
from serving.routes import Role, ServedModel

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
IN_FLIGHT_BY_VERSION = "sparnet_in_flight_by_version"

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.25, 2.5, 5, 10, 20, 40, 80, 120)
_FACES = (0, 1, 2, 4, 8, 16, 32)
_GREY_LEVELS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_OUTCOMES = {429: "limited", 504: "timeout"}
_VERSION = ("model", "version")


class Metrics:
    """Figures of the requests for pictures, by model and version."""

    def __init__(self, gate: Gate) -> None:
        self._registry = CollectorRegistry()
        self._seconds = self._histogram(
            "sparnet_request_seconds",
            "From the first byte of a request to the last of its answer",
            _SECONDS,
            ("outcome", "role"),
        )
        self._upstream = self._histogram(
            "sparnet_upstream_seconds",
            "For which TorchServe had the picture, a second attempt included",
            _SECONDS,
        )
        self._queue = self._histogram(
            "sparnet_queue_seconds",
            "Upstream seconds outside the handler: waiting, and the way there and back",
            _SECONDS,
        )
        self._faces = self._histogram(
            "sparnet_faces_per_picture", "Faces restored in a picture", _FACES
        )
        self._difference = self._histogram(
            "sparnet_shadow_difference",
            "Mean absolute difference between a shadow version's picture and the answer, of 255",
            _GREY_LEVELS,
        )
        self._answers = Counter(
            "sparnet_answers", "Answers of every kind", ("status",), registry=self._registry
        )
        Gauge(
            "sparnet_in_flight", "Requests that hold a place", registry=self._registry
        ).set_function(lambda: gate.working)
        self._inside = Gauge(
            IN_FLIGHT_BY_VERSION,
            "Requests that hold a place, by the version they are for",
            _VERSION,
            registry=self._registry,
        )

    @contextlib.contextmanager
    def inside(self, model: ServedModel) -> Iterator[None]:
        """Count a request for `model` as in flight."""
        with self._inside.labels(model.name, model.version).track_inprogress():
            yield

    def observe(self, visit: Visit) -> None:
        """Count a request that has been answered."""
        self._answers.labels(str(visit.status)).inc()
        if visit.model is None:
            return
        self._took(visit.model, visit.status, visit.seconds, visit.role)
        of_version = visit.model.name, visit.model.version
        if visit.faces is not None:
            self._faces.labels(*of_version).observe(visit.faces)
        if visit.upstream_seconds is None:
            return
        self._upstream.labels(*of_version).observe(visit.upstream_seconds)
        if visit.handler_seconds is not None:
            queue = max(0.0, visit.upstream_seconds - visit.handler_seconds)
            self._queue.labels(*of_version).observe(queue)

    def observe_shadow(
        self, model: ServedModel, status: int, seconds: float, difference: float | None = None
    ) -> None:
        """Count the copy of a request that went to a shadow version, whose answer nobody got.

        `difference`: mean absolute grey levels, 0 to 255, from what the client got, where both
        versions restored the picture to the same size.
        """
        self._took(model, status, seconds, "shadow")
        if difference is not None:
            self._difference.labels(model.name, model.version).observe(difference)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def _took(self, model: ServedModel, status: int, seconds: float, role: Role) -> None:
        labels = model.name, model.version, outcome(status), role
        self._seconds.labels(*labels).observe(seconds)

    def _histogram(
        self, name: str, told: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        labelled = (*_VERSION, *labels)
        return Histogram(name, told, labelled, buckets=buckets, registry=self._registry)


def outcome(status: int) -> str:
    """One of ok, refused, limited, timeout and failed."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if status < 400:
        return "ok"
    return "refused" if status < 500 else "failed"
