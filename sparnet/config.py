"""The typed, strict schema of `params.yaml`: a mistake there is one clear line before any work.

A block a stage; the descriptions below are the documentation of the knobs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sparnet.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]

Preset = Literal["bicubic_x8", "gfpgan", "codeformer", "wide", "sparnet_paper"]
NetworkName = Literal[
    "sparnet", "sparnet-attn3d", "sparnet-light-attn3d", "sparnethd", "sparnethd-attn3d"
]
Side = Annotated[int, Field(ge=32, le=2048, multiple_of=8)]


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Compute(Block):
    """How and where the work runs. No stage is rerun because of it."""

    workers: NotNegative = Field(2, description="processes for data work; 0: in the main process")
    threads: Positive = Field(
        2, description="threads of torch on a CPU; the last bits of a training depend on it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class SyntheticSource(Block):
    people: Positive
    pictures_per_person: Positive
    size: Side = Field(description="side of the rendered pictures")


class FolderSource(Block):
    path: str = Field(description="folder of pictures, searched recursively")
    person_pattern: str | None = Field(
        None, description="regular expression on the file's stem; group `person` names the person"
    )
    limit: NotNegative = Field(
        0, description="at most so many pictures, whole persons by hash; 0: all"
    )
    licence: str = Field("unknown", description="written into the manifest")

    @field_validator("person_pattern")
    @classmethod
    def _names_a_person(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if "person" not in groups:
            raise ValueError("needs a group (?P<person>...)")
        return pattern


class Download(Block):
    source: Literal["synthetic", "folder"]
    shard_size: Positive = Field(1000, description="pictures in one shard")
    synthetic: SyntheticSource | None = None
    folder: FolderSource | None = None

    @model_validator(mode="after")
    def _source_has_its_block(self) -> Self:
        if getattr(self, self.source) is None:
            raise ValueError(f"source is {self.source!r}: the block {self.source!r} is missing")
        return self


class Sizes(Block):
    """Side of the square pictures each model trains on."""

    sparnet: Side = 128
    sparnethd: Side = 512

    def distinct(self) -> list[int]:
        return sorted({self.sparnet, self.sparnethd})


class Prepare(Block):
    sizes: Sizes
    min_side: Positive = Field(64, description="a picture with a shorter side is quarantined")
    val: Share = Field(description="share of persons held out for validation during training")
    test: Share = Field(description="share of persons held out for the evaluation")
    shard_size: Positive = 1000

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        if not (self.val > 0 and self.test > 0 and self.val + self.test < 1):
            raise ValueError("val and test must be above 0 and together below 1")
        return self


class ModelDegradation(Block):
    preset: Preset
    variants: Positive = Field(1, description="different degradations of one training picture")


class Degrade(Block):
    sparnet: ModelDegradation
    sparnethd: ModelDegradation
    shard_size: Positive = 1000


class Band(Block):
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Validate(Block):
    min_pictures: Positive = Field(description="pictures at least in every split")
    max_quarantined_share: Share = Field(description="share of raw pictures that may be refused")
    max_grey_share: Share = Field(description="share of pictures that may be grey")
    min_std: float = Field(2.0, description="a picture with less deviation is taken for one colour")
    bicubic_psnr_mean: dict[Literal["sparnet", "sparnethd"], Band] = Field(
        description="band, in dB, of the mean bicubic PSNR of each model's pairs"
    )


class Network(Block):
    """A named network and what of it is changed; the size comes from `prepare.sizes`."""

    name: NetworkName
    min_channels: Positive | None = None
    max_channels: Positive | None = None
    min_feature_size: Positive | None = None
    residual_depth: NotNegative | None = None
    norm: Literal["batch", "instance"] | None = None
    attention: Literal["2d", "3d", "none"] | None = None
    bottleneck_size: Positive | None = None
    attention_channels: Positive | None = None
    spectral_norm: bool | None = None

    def overrides(self) -> dict[str, int | str | bool]:
        """The fields that differ from the named network, for `sparnet.models.create`."""
        return {
            key: value
            for key, value in self.model_dump(exclude={"name"}).items()
            if value is not None
        }


class DiscriminatorNetwork(Block):
    base_channels: Positive = 64
    layers: Positive = 4
    scales: Positive = 3


class Optimizer(Block):
    lr: Annotated[float, Field(gt=0)]
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)]


class Schedule(Block):
    name: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: NotNegative = 0
    final: Share = Field(0.0, description="share of the rate left at the end (cosine, linear)")


class Augment(Block):
    flip: Share = Field(0.5, description="probability of a mirror image")
    scale: Annotated[float, Field(ge=1, le=2)] = Field(
        1.0, description="crops of a picture enlarged by up to this factor"
    )


class Training(Block):
    """What both trainings share."""

    network: Network
    epochs: Positive | None = Field(None, description="length of the training; or `steps`")
    steps: Positive | None = None
    batch_size: Positive
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    clip_gradient_norm: Annotated[float, Field(gt=0)] | None = None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="decay of the running average of the weights, which then is what ships"
    )
    precision: Literal["float32", "bf16", "auto"] = Field(
        "auto", description="auto: bf16 where the hardware has it"
    )
    recompute: bool = Field(
        False, description="compute activations twice: more time, much less memory, same result"
    )
    validate_every: Positive = Field(description="steps between two validations")
    validation_pictures: Positive = Field(description="fixed faces of the validation split")
    checkpoint_every: Positive = Field(description="steps between two resume states")
    log_every: Positive = 20
    strips: Positive = Field(4, description="faces shown as picture strips in MLflow")

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self


class TrainSparnet(Training):
    pixel_weight: Weight = 1.0


class HdLosses(Block):
    pixel: Weight = 100.0
    perceptual: Weight = 1.0
    feature_matching: Weight = 10.0
    adversarial: Weight = 1.0


class TrainSparnetHd(Training):
    discriminator: DiscriminatorNetwork = DiscriminatorNetwork()
    discriminator_optimizer: Optimizer
    losses: HdLosses = HdLosses()
    spectral_warm_up: NotNegative = Field(15, description="power iterations before the first step")


class Evaluate(Block):
    protocol: Literal["official", "float"] = "official"
    batch_size: Positive = 8
    faces: bool = Field(True, description="landmark error and identity, where a face is found")
    strips: Positive = Field(12, description="faces shown in the report")
    min_gain_db: float = Field(
        0.0, description="a champion is replaced by a model better by more than this test PSNR"
    )


class Package(Block):
    batch_size: Positive = Field(1, description="requests that a worker takes at once")
    max_batch_delay_ms: NotNegative = 0
    workers: Positive = 1
    threads: Positive = 1
    queue_size: Positive = 32
    max_megapixels: Annotated[float, Field(gt=0)] = 40.0


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
    first = details[0]
    key = ".".join(str(part) for part in first["loc"]) or "top level"
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = "unknown key; see `sparnet params show` for the known ones"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{key}: {text}{more}"
