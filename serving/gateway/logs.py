"""The gateway's log: one JSON object a line, and nothing of any picture."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from serving.gateway.visit import Visit
from sparnet import images

LOG = logging.getLogger("sparnet.gateway")

_LONGEST_PATH = 200
_LONGEST_FILE = 10_000_000


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(path: Path | None) -> None:
    """Send the gateway's lines, the web server's and Python's warnings to `path`, which is kept
    short, or to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if path is not None:
        handler = RotatingFileHandler(path, maxBytes=_LONGEST_FILE, backupCount=2)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    images.ignore_warnings()
    LOG.setLevel(logging.INFO)


def request(visit: Visit) -> None:
    """One line for a request that has been answered or whose client has left."""
    fields = {
        "request_id": visit.request_id,
        "key": visit.key_id,
        "method": visit.method,
        "path": visit.path[:_LONGEST_PATH],
        "status": visit.status,
        "ms": round(visit.seconds * 1000, 1),
        "bytes_in": visit.bytes_in,
        "bytes_out": visit.bytes_out,
        "model": visit.model and visit.model.name,
        "version": visit.model and visit.model.version,
        "faces": visit.faces,
    }
    LOG.info("request", extra={"fields": fields})


def failure(visit: Visit) -> None:
    """The exception that is being handled, with the request that met it."""
    LOG.exception("request failed", extra={"fields": {"request_id": visit.request_id}})
