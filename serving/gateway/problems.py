"""Refusals as problem details (RFC 9457), each with the id of its request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import Response

from serving.protocol import PROBLEM_TYPE, Problem


class Refusal(Problem):
    """A problem that the gateway answers. Headers hold nothing that a client wrote."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def response(self, request_id: str) -> Response:
        content = json.loads(self.body()) | {"request_id": request_id}
        return Response(
            json.dumps(content), int(self.status), self.headers, media_type=PROBLEM_TYPE
        )
