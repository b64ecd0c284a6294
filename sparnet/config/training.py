"""The parameters of both trainings."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sparnet.config.base import Block, NotNegative, Positive, Share, Weight

NetworkName = Literal[
    "sparnet", "sparnet-attn3d", "sparnet-light-attn3d", "sparnethd", "sparnethd-attn3d"
]


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
    distort: bool = Field(
        False, description="enlarge width and height by different factors, as published"
    )
    colours: Share = Field(
        0.0,
        description="probability that red, green and blue change places: a small network then "
        "learns to see colours instead of guessing them",
    )
    grey: Share = Field(0.0, description="probability that both pictures of a pair turn grey")


class Training(Block):
    """What both trainings share."""

    network: Network
    epochs: Positive | None = Field(None, description="length of the training; or `steps`")
    steps: Positive | None = None
    batch_size: Positive = Field(description="pictures of one update, over all processes")
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    clip_gradient_norm: Annotated[float, Field(gt=0)] | None = None
    accumulate: Positive = Field(
        1, description="parts that a batch is computed in: less memory, the same update"
    )
    on_divergence: Literal["stop", "skip"] = Field(
        "stop", description="what happens where a loss or gradient is not finite"
    )
    max_skipped: Positive = Field(
        10, description="updates skipped in a row after which the training stops all the same"
    )
    patience: Positive | None = Field(
        None, description="validations without a better PSNR after which the training ends early"
    )
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
    keep_states: Positive = Field(
        2, description="resume states kept; a damaged one gives way to the one before"
    )
    compile: bool = Field(
        False, description="torch.compile the networks' units; worth its start on a GPU"
    )
    log_every: Positive = 20
    strips: Positive = Field(4, description="faces shown as picture strips in MLflow")

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError("accumulate must divide batch_size")
        return self


class TrainSparnet(Training):
    pixel_weight: Weight = 1.0


class HdLosses(Block):
    pixel: Weight = 100.0
    perceptual: Weight = 1.0
    feature_matching: Weight = 10.0
    adversarial: Weight = 1.0
    identity: Weight = 0.0
    identity_network: str | None = Field(
        None, description="TorchScript file: N x 3 x S x S in [-1, 1] to N x D embeddings"
    )

    @model_validator(mode="after")
    def _identity_has_its_network(self) -> Self:
        if self.identity > 0 and self.identity_network is None:
            raise ValueError("identity is above 0: identity_network is missing")
        return self


class TrainSparnetHd(Training):
    discriminator: DiscriminatorNetwork = DiscriminatorNetwork()
    discriminator_optimizer: Optimizer
    losses: HdLosses = HdLosses()
    spectral_warm_up: NotNegative = Field(15, description="power iterations before the first step")
