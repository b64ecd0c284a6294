"""Who changed what is served, and when: a line of JSON for every attempt."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Audit:
    """Appends to a file that is never rewritten."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, who: str, action: str, outcome: str, **facts: Any) -> None:
        """who: name and id of a key, or "start"; outcome: "done", or why it was not."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": who,
            "action": action,
            "outcome": outcome,
            **facts,
        }
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
