"""What is noted of one request while it is inside."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.types import Scope

from serving.routes import Role, ServedModel

REQUEST_ID = "X-Request-Id"

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass
class Visit:
    """One request. `status` counts as 500 while nothing has been answered; `held`: bytes."""

    request_id: str
    method: str
    path: str
    started: float = field(default_factory=time.monotonic)
    status: int = 500
    bytes_in: int = 0
    bytes_out: int = 0
    held: int = 0
    key_id: str | None = None
    model: ServedModel | None = None
    role: Role = "main"
    faces: int | None = None
    upstream_seconds: float | None = None
    handler_seconds: float | None = None

    @classmethod
    def of(cls, scope: Scope) -> Visit:
        """The client's own id is kept where it is safe to repeat; another gets a new one."""
        given = next(
            (value for name, value in scope["headers"] if name == REQUEST_ID.lower().encode()), b""
        ).decode("latin-1")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        return cls(request_id, scope["method"], scope["path"])

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.monotonic() - self.started

    @contextlib.contextmanager
    def upstream(self) -> Iterator[None]:
        """Take the time that TorchServe has the picture, whatever comes of it."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.upstream_seconds = time.monotonic() - start
