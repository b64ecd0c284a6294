"""The typed, strict schema of `params.yaml`: a mistake there is one clear line before any work.

A block a stage; the descriptions of the fields are the documentation of the knobs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from sparnet.config.base import Block, NotNegative, Positive
from sparnet.config.data import (
    ArchiveLimits,
    Band,
    Degrade,
    Download,
    FaceSearch,
    Fetching,
    FolderSource,
    Framing,
    Framings,
    HttpFile,
    HttpSource,
    ModelDegradation,
    NamedSource,
    Prepare,
    Preset,
    S3Source,
    Selection,
    Sizes,
    SyntheticSource,
    Validate,
)
from sparnet.config.drift import Drift
from sparnet.config.photographs import Photographs
from sparnet.config.training import (
    Augment,
    DiscriminatorNetwork,
    HdLosses,
    Network,
    NetworkName,
    Optimizer,
    Schedule,
    Training,
    TrainSparnet,
    TrainSparnetHd,
)
from sparnet.errors import UserError, first_mistake

__all__ = [
    "ArchiveLimits",
    "Augment",
    "Band",
    "Compute",
    "Degrade",
    "DiscriminatorNetwork",
    "Download",
    "Drift",
    "Evaluate",
    "FaceSearch",
    "Fetching",
    "FolderSource",
    "Framing",
    "Framings",
    "HdLosses",
    "HttpFile",
    "HttpSource",
    "ModelDegradation",
    "NamedSource",
    "Network",
    "NetworkName",
    "Optimizer",
    "Package",
    "Params",
    "Photographs",
    "Prepare",
    "Preset",
    "S3Source",
    "Schedule",
    "Selection",
    "Sizes",
    "SyntheticSource",
    "Tracking",
    "TrainSparnet",
    "TrainSparnetHd",
    "Training",
    "Validate",
    "load",
    "parse",
]


class Compute(Block):
    """How and where the work runs. No stage is rerun because of it."""

    workers: NotNegative = Field(2, description="processes for data work; 0: in the main process")
    cluster: Annotated[str, Field(pattern=r"^(tcp|tls)://[^/\s]+:\d+$")] | None = Field(
        None,
        description="a Dask scheduler, tcp://host:8786, whose workers do the data work instead",
    )
    threads: Positive = Field(
        2, description="threads of torch on a CPU; the last bits of a training depend on it"
    )
    processes: NotNegative = Field(
        1, description="training processes on this machine, which share each batch; 0: one a GPU"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class Evaluate(Block):
    protocol: Literal["official", "float"] = "official"
    batch_size: Positive = 8
    faces: bool = Field(True, description="landmark error and identity, where a face is found")
    strips: Positive = Field(12, description="faces shown in the report")
    min_gain_db: float = Field(
        0.0, description="a champion is replaced by a model better by more than this test PSNR"
    )


class Package(Block):
    batch_size: Positive = Field(1, description="waiting requests that a worker takes at once")
    workers: Positive = 1
    threads: Positive = 1
    queue_size: Positive = 32
    max_megapixels: Annotated[float, Field(gt=0)] = 40.0
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what runs the network; auto: torch on CUDA, openvino on a CPU"
    )
    precision: Literal["auto", "float32"] = Field(
        "auto", description="auto: bf16 where the hardware has it"
    )
    compiled: bool = Field(
        False, description="torch.compile what torch runs; worth its start on a GPU"
    )


class Tracking(Block):
    """Where runs go; MLFLOW_TRACKING_URI, when set, wins. No stage is rerun because of it."""

    uri: str = "sqlite:///mlflow.db"
    experiment: str = "sparnet"


class Params(Block):
    seed: NotNegative
    compute: Compute
    tracking: Tracking
    download: Download
    prepare: Prepare
    degrade: Degrade
    validate_: Validate = Field(alias="validate")
    train_sparnet: TrainSparnet
    train_sparnethd: TrainSparnetHd
    evaluate: Evaluate
    package: Package

    @model_validator(mode="after")
    def _networks_fit_their_stage(self) -> Self:
        if self.train_sparnet.network.name.startswith("sparnethd"):
            raise ValueError("train_sparnet.network.name names an HD network")
        if not self.train_sparnethd.network.name.startswith("sparnethd"):
            raise ValueError("train_sparnethd.network.name must name an HD network")
        return self


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check the parameters; raises UserError with the first mistake and its key."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return parse(content, str(path))


def parse(content: object, name: str = "params") -> Params:
    """Check parsed YAML; `name` is the file named in the message of the UserError."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{name}: {_first_mistake(error)}") from None


def _first_mistake(error: ValidationError) -> str:
    details = error.errors()
    if details[0]["type"] == "extra_forbidden":
        details[0]["msg"] = "unknown key; see `sparnet params show` for the known ones"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{first_mistake(details, whole='top level')}{more}"
