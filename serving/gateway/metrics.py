"""What Prometheus reads at /metrics; a registry of its own, with nothing of the process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from serving.gateway.limits import Gate
from serving.gateway.visit import Visit

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.25, 2.5, 5, 10, 20, 40, 80)
_FACES = (0, 1, 2, 4, 8, 16, 32)
_OUTCOMES = {429: "limited", 504: "timeout"}


class Metrics:
    """Histograms of the requests for pictures, by model, version and outcome."""

    def __init__(self, gate: Gate) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "sparnet_request_seconds",
            "From the first byte of a request to the last of its answer",
            ("model", "version", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._faces = Histogram(
            "sparnet_faces_per_picture",
            "Faces restored in a picture",
            ("model", "version"),
            buckets=_FACES,
            registry=self._registry,
        )
        self._answers = Counter(
            "sparnet_answers", "Answers of every kind", ("status",), registry=self._registry
        )
        Gauge(
            "sparnet_in_flight", "Requests that hold a place", registry=self._registry
        ).set_function(lambda: gate.working)

    def observe(self, visit: Visit) -> None:
        """Count a request that has been answered."""
        self._answers.labels(str(visit.status)).inc()
        if visit.model is None:
            return
        name, version = visit.model.name, visit.model.version
        self._seconds.labels(name, version, outcome(visit.status)).observe(visit.seconds)
        if visit.faces is not None:
            self._faces.labels(name, version).observe(visit.faces)

    def text(self) -> bytes:
        return generate_latest(self._registry)


def outcome(status: int) -> str:
    """One of ok, refused, limited, timeout and failed."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if status < 400:
        return "ok"
    return "refused" if status < 500 else "failed"
