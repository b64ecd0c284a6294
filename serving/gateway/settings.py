"""What the supervisor tells the gateway, in a file that only its owner can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
DEADLINE_SECONDS = 120.0


class Settings(BaseModel):
    """Everything the gateway needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    listener: int | None = Field(
        None, description="inherited socket that listens on that port; else one is opened"
    )
    routes: Path = Field(description="file of routes, which may change while the gateway runs")
    keys: Path = Field(description="file of hashed keys")
    log: Path | None = Field(None, description="file of JSON lines; standard error where none")
    max_body_bytes: Positive = Field(64 << 20, description="a longer body is not read to its end")
    held_bytes: Positive = Field(
        1 << 30, description="of pictures inside, until their answers are sent; half for one key"
    )
    deadline_seconds: Seconds = Field(
        DEADLINE_SECONDS, description="for an answer, a retry included"
    )
    upload_seconds: Seconds = Field(60.0, description="for the body of a request to arrive")
    drain_seconds: Seconds = Field(30.0, description="for the last requests after SIGTERM")
    requests_per_second: Annotated[float, Field(gt=0)] = Field(100.0, description="of one key")
    burst: Positive = Field(200, description="requests of one key that need not wait")
    ready_seconds: Annotated[float, Field(ge=0)] = Field(
        5.0, description="for which a restored picture proves a model ready"
    )

    @property
    def local_url(self) -> str:
        """Where clients on this machine find the gateway."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        host = everywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
