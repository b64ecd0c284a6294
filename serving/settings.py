"""The settings that travel inside an archive: TorchServe's own and the handler's.

TorchServe only warns about a wrong type in its yaml and then goes on with a default; here a
mistake stops the packaging, and again the loading.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HandlerSettings(BaseModel):
    """What the handler needs to know; block `handler` of the yaml file in the archive."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    weights: Annotated[str, Field(pattern=r"^[\w.-]+\.safetensors$")] = Field(
        description="file in the archive"
    )
    weights_sha256: Sha256
    side: Positive = Field(description="of the pictures that the network takes and gives")
    attention: bool = Field(description="whether the network's attention maps can be shown")
    threads: Positive = Field(description="threads of the network in one worker")
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what runs the network; auto: torch on CUDA, openvino on a CPU"
    )
    precision: Literal["auto", "float32"] = Field(
        "auto", description="auto: bf16 where the hardware has it"
    )
    compiled: bool = Field(False, description="whether torch compiles what it runs")
    graph: Annotated[str, Field(pattern=r"^[\w.-]+\.xml$")] | None = Field(
        None, description="file in the archive with the network for openvino, weights beside it"
    )
    graph_sha256: Sha256 | None = Field(None, description="of the graph, which names its weights'")
    max_pixels: Positive = Field(description="a larger picture is refused from its header")
    max_answer_bytes: Positive = Field(
        description="a longer answer would kill the worker, so it is refused"
    )
    whole_face_side: NotNegative = Field(
        32, description="a picture with no longer side is one face: too small to look for faces"
    )

    @model_validator(mode="after")
    def _a_graph_is_there_and_hashed(self) -> Self:
        if self.backend != "torch" and (self.graph is None or self.graph_sha256 is None):
            raise ValueError(f"backend {self.backend} needs a graph and its graph_sha256")
        return self


class ModelSettings(BaseModel):
    """The yaml file of an archive, in the names that TorchServe reads."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True
    )

    min_workers: Positive
    max_workers: Positive
    batch_size: Positive
    max_batch_delay: Literal[0] = Field(
        0, description="a worker takes what waits, and does not wait for more"
    )
    job_queue_size: Positive = Field(description="requests that wait before others are refused")
    response_timeout: Positive = Field(300, description="seconds; a slower worker is restarted")
    startup_timeout: Positive = Field(120, description="seconds until a worker must be ready")
    max_retry_timeout_in_sec: Positive = Field(
        30, description="seconds for which a dying worker is started again"
    )
    handler: HandlerSettings

    @model_validator(mode="after")
    def _workers_are_ordered(self) -> Self:
        if self.min_workers > self.max_workers:
            raise ValueError("minWorkers is above maxWorkers")
        return self
