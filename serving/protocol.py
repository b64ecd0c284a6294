"""What the handler agrees on with clients and the supervisor.

Refusals are problem details of RFC 9457.
"""

from __future__ import annotations

import json
from http import HTTPStatus

# A query string would not reach the handler: TorchServe drops it.
ALIGNED_HEADER = "X-Sparnet-Aligned"
FACES_HEADER = "X-Sparnet-Faces"
MODEL_HEADER = "X-Sparnet-Model"
VERSION_HEADER = "X-Sparnet-Version"
LOAD_FAILURE = "cannot load the model"  # begins a line of the log
PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):
    """One request's failure. `detail` is for the client and never goes into a header."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    @property
    def phrase(self) -> str:
        """The status' own reason phrase: ASCII, and nothing a client wrote."""
        return self.status.phrase

    def body(self) -> bytes:
        content = {
            "type": "about:blank",
            "title": self.phrase,
            "status": int(self.status),
            "detail": self.detail,
        }
        return json.dumps(content).encode()
