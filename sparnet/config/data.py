"""The parameters of the data stages: download, prepare, degrade, validate."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from sparnet.config.base import Block, NotNegative, Positive, Share, Weight
from sparnet.config.drift import Drift
from sparnet.config.photographs import Photographs

Preset = Literal["bicubic_x8", "gfpgan", "codeformer", "wide", "sparnet_paper"]
Side = Annotated[int, Field(ge=32, le=2048, multiple_of=8)]


class SyntheticSource(Block):
    people: Positive
    pictures_per_person: Positive
    size: Side = Field(description="side of the rendered pictures")


class Limited(Block):
    """A source of which only a part may be taken."""

    limit: NotNegative = Field(
        0, description="at most so many pictures, whole persons by hash; 0: all"
    )


class Selection(Limited):
    """What a source of files can choose from them, and writes about them."""

    person_pattern: str | None = Field(
        None, description="regular expression on the file's stem; group `person` names the person"
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


class FolderSource(Selection):
    path: str = Field(description="folder of pictures, searched recursively")


def _fetchable(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError(f"not an address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sound:
        raise ValueError(f"must begin with http:// or https:// and name a host, not {url!r}")
    if parts.username is not None:
        raise ValueError("may hold no user and password: parameters are committed")
    return url


Url = Annotated[str, AfterValidator(_fetchable)]


class HttpFile(Block):
    url: Url = Field(description="an archive (zip, tar, tar.gz, tar.bz2, tar.xz) or a picture")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="what the file must be; then it is fetched only once"
    )
    name: Annotated[str, Field(pattern=r"^[^/\\]+$")] | None = Field(
        None, description="its name where the address ends in another"
    )


class HttpSource(Selection):
    files: Annotated[list[HttpFile], Field(min_length=1)]


class S3Source(Selection):
    """Keys come from where boto3 looks for them (environment, ~/.aws, roles), never from here."""

    bucket: Annotated[str, Field(min_length=3)]
    prefix: str = ""
    endpoint: Url | None = Field(None, description="another server than Amazon's")
    region: str | None = None
    anonymous: bool = Field(False, description="unsigned requests, for public buckets")


class NamedSource(Limited):
    """A published set: lfw, celeba, ffhq."""

    accept_licence: bool = Field(False, description="true: its terms are read and accepted")
    folder: str = Field("pictures", description="where files lie that were fetched by hand")
    mirror: Url | None = Field(
        None, description="address of a folder that holds the set's files under their names"
    )


class Fetching(Block):
    """How patiently a network is asked. No byte of the data depends on it."""

    retries: NotNegative = Field(5, description="tries in a row that may bring nothing")
    first_wait_s: Weight = Field(1.0, description="before the second try; doubles with each more")
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    concurrency: Positive = Field(8, description="files fetched at once")


class ArchiveLimits(Block):
    """An archive beyond these is refused as a bomb before it is unpacked."""

    members: Positive = 1_000_000
    member_mb: Positive = Field(200, description="a single file, unpacked")
    total_gb: Positive = Field(200, description="all files, unpacked")
    ratio: Positive = Field(100, description="unpacked to packed size, of the whole archive")


class Download(Block):
    source: Literal["synthetic", "folder", "http", "s3", "lfw", "celeba", "ffhq"]
    shard_size: Positive = Field(1000, description="pictures in one shard")
    synthetic: SyntheticSource | None = None
    folder: FolderSource | None = None
    http: HttpSource | None = None
    s3: S3Source | None = None
    lfw: NamedSource | None = None
    celeba: NamedSource | None = None
    ffhq: NamedSource | None = None
    fetching: Fetching = Fetching()
    archive_limits: ArchiveLimits = ArchiveLimits()

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


Framing = Literal["whole", "box", "ffhq"]


class Framings(Block):
    """What of a picture each model trains on: the centre square of the `whole` picture, an upright
    square around the detector's `box`, or the face turned and scaled as FFHQ's are."""

    sparnet: Framing = "box"
    sparnethd: Framing = "ffhq"


class FaceSearch(Block):
    """How faces are found in the pictures, and which of them are good enough.

    All that pass are taken, from a picture of several faces too.
    """

    detector: Literal["hog", "cnn"] = Field(
        "cnn", description="cnn: a slower network decides where the quick detector is not sure"
    )
    framing: Framings = Framings()
    margin: Annotated[float, Field(ge=1.0, le=3.0)] | None = Field(
        None,
        description="side of a `box` framing over the longer side of the detector's box; "
        "null: the usual, 1.6",
    )
    without_face: Literal["refuse", "whole"] = Field(
        "refuse", description="whole: a picture without an upright face is taken as one, uncut"
    )
    min_side: Positive = Field(48, description="pixels of the longer side of the detector's box")
    min_score: float = Field(0.0, description="what the detector must give")
    min_sharpness: Weight = Field(0.0, description="detail of the face; see faces.parquet")
    max_turned: Weight = Field(
        0.45, description="how far the nose may be off the middle of the eyes, in eye distances"
    )
    max_drawn: Share = Field(1.0, description="how much a face may look drawn, 0 to 1")
    max_outside: Share = Field(
        0.5, description="share of an `ffhq` frame that may lie outside of the picture"
    )
    same_person: Annotated[float, Field(gt=0, le=1)] = Field(
        0.91,
        description="mean cosine of two groups' embeddings from which on unnamed faces are one "
        "person's; on LFW it joins 0.1 % of different people and parts 10 % of the persons",
    )


class Prepare(Block):
    sizes: Sizes
    faces: FaceSearch | None = Field(
        None, description="leave out where each picture is a face already: its centre is taken"
    )
    exclude: list[str] = Field(
        [], description="files that a person has ruled out, by name or pattern such as 'old/*.jpg'"
    )
    min_side: Positive = Field(64, description="a picture with a shorter side is quarantined")
    near_duplicates: Annotated[int, Field(ge=0, le=64)] | None = Field(
        None,
        description="bits of 256, of perceptual hashes, within which two faces (also mirrored) "
        "are one picture; the best of them stays",
    )
    val: Share = Field(description="share of persons held out for validation during training")
    test: Share = Field(description="share of persons held out for the evaluation")
    shard_size: Positive = 1000

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        if not (self.val > 0 and self.test > 0 and self.val + self.test < 1):
            raise ValueError("val and test must be above 0 and together below 1")
        return self

    @model_validator(mode="after")
    def _one_framing_a_size(self) -> Self:
        framing = self.framing()
        if self.sizes.sparnet == self.sizes.sparnethd and framing.sparnet != framing.sparnethd:
            raise ValueError("models of one size share their pictures: give them one framing")
        return self

    def framing(self) -> Framings:
        return self.faces.framing if self.faces else Framings(sparnet="whole", sparnethd="whole")

    def framing_of_size(self) -> dict[int, Framing]:
        """How the pictures of each size are framed, sizes ascending."""
        framing = self.framing()
        by_size = {self.sizes.sparnethd: framing.sparnethd, self.sizes.sparnet: framing.sparnet}
        return dict(sorted(by_size.items()))


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
    photographs: Photographs = Photographs()
    drift: Drift = Drift()
