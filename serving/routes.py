"""Which version of each model answers: written by the supervisor, followed by the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving import documents
from sparnet.files import write_private

Positive = Annotated[int, Field(ge=1)]
Role = Literal["main", "canary", "shadow"]
"""main answers; canary answers a share of the requests; shadow gets a share as well, unseen."""


class ServedModel(BaseModel):
    """A version of a model that TorchServe has ready."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    side: Positive = Field(description="of the faces that its network restores")
    max_pixels: Positive = Field(description="a larger picture is refused from its header")
    attention: bool = Field(description="whether its attention maps can be shown")


class Beside(BaseModel):
    """A second version that is tried beside the main one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ServedModel
    role: Literal["canary", "shadow"]
    percent: Annotated[float, Field(gt=0, le=100)] = Field(description="of the requests")


class Route(BaseModel):
    """One name, and the versions behind it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    main: ServedModel
    capacity: Positive = Field(32, description="requests TorchServe takes before it refuses one")
    beside: Beside | None = None

    @property
    def name(self) -> str:
        return self.main.name

    def choose(self, draw: float) -> tuple[ServedModel, Role]:
        """Who answers a request that drew this number, 0 to 1."""
        if self._hit("canary", draw) and self.beside is not None:
            return self.beside.model, "canary"
        return self.main, "main"

    def shadow(self, draw: float) -> ServedModel | None:
        """Who gets the request as well, unseen by the client."""
        return self.beside.model if self._hit("shadow", draw) and self.beside else None

    def _hit(self, role: Role, draw: float) -> bool:
        beside = self.beside
        return beside is not None and beside.role == role and 100 * draw < beside.percent


class Routes(BaseModel):
    """All that the gateway knows of TorchServe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upstream: str = Field(description="address of TorchServe's inference port")
    token: str = Field(repr=False, description="opens that port and nothing else")
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    default_model: str
    workers: dict[str, tuple[int, ...]] = Field(
        default_factory=dict, description="of each version: the process ids of those that are ready"
    )

    @model_validator(mode="after")
    def _default_is_served(self) -> Self:
        if self.default_model not in self.names:
            raise ValueError(f"default_model: {self.default_model} is not among the models")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(route.name for route in self.routes)

    @property
    def capacity(self) -> int:
        """Requests that may be inside at once."""
        return sum(route.capacity for route in self.routes)

    def named(self, name: str) -> Route:
        """Raises KeyError where there is none of that name."""
        for route in self.routes:
            if route.name == name:
                return route
        raise KeyError(name)

    def write(self, path: Path) -> None:
        write_private(path, self.model_dump_json(indent=2) + "\n")


def read(path: Path) -> Routes:
    """Raises UserError where the file is missing or wrong."""
    return documents.load(path, Routes)
