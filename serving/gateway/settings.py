"""What the supervisor tells the gateway, in a file that only its owner can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparnet.errors import UserError

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class ServedModel(BaseModel):
    """A model that TorchServe has ready."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    side: Positive = Field(description="of the faces that its network restores")
    max_pixels: Positive = Field(description="a larger picture is refused from its header")
    attention: bool = Field(description="whether its attention maps can be shown")


class Settings(BaseModel):
    """Everything the gateway needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    upstream: str = Field(description="address of TorchServe's inference port")
    upstream_token: str = Field(repr=False, description="opens that port and nothing else")
    keys: Path = Field(description="file of hashed keys")
    log: Path | None = Field(None, description="file of JSON lines; standard error where none")
    models: Annotated[tuple[ServedModel, ...], Field(min_length=1)]
    default_model: str
    max_body_bytes: Positive = Field(64 << 20, description="a longer body is not read to its end")
    max_in_flight: Positive = Field(32, description="requests at once; more are asked to come back")
    deadline_seconds: Seconds = Field(120.0, description="for an answer, a retry included")
    upload_seconds: Seconds = Field(60.0, description="for the body of a request to arrive")
    drain_seconds: Seconds = Field(30.0, description="for the last requests after SIGTERM")
    requests_per_second: Annotated[float, Field(gt=0)] = Field(100.0, description="of one key")
    burst: Positive = Field(200, description="requests of one key that need not wait")
    ready_seconds: Annotated[float, Field(ge=0)] = Field(
        5.0, description="for which a restored picture proves a model ready"
    )

    @model_validator(mode="after")
    def _default_is_served(self) -> Self:
        if self.default_model not in self.names:
            raise ValueError(f"default_model: {self.default_model} is not among the models")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)

    @property
    def local_url(self) -> str:
        """Where clients on this machine find the gateway."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        host = everywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def model_named(self, name: str) -> ServedModel:
        """Raises KeyError where there is none of that name."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)


def load(path: Path) -> Settings:
    """Raises UserError where the file is missing or wrong."""
    try:
        return Settings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg']}") from None
