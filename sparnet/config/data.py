"""The parameters of the data stages: download, prepare, degrade, validate."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from sparnet.config.base import Block, NotNegative, Positive, Share

Preset = Literal["bicubic_x8", "gfpgan", "codeformer", "wide", "sparnet_paper"]
Side = Annotated[int, Field(ge=32, le=2048, multiple_of=8)]


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
