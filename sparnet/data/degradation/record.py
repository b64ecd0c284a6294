"""The record: everything about one degradation, enough to replay it on any copy of the picture."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sparnet.errors import UserError, first_mistake

Blur = Literal["gaussian", "average", "median", "motion"]
Resample = Literal["pillow-bicubic", "nearest", "linear", "area", "cubic"]

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One drawn degradation: blur, shrink by `ratio`, noise, JPEG. None: that step is left out."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    preset: str
    frame: Annotated[int, Field(ge=1)] | None
    """Side of the picture that `ratio` and the blur are meant for; None: any picture's own side."""
    ratio: Positive
    """Side of the picture over the side of its low-resolution copy."""
    resample: Resample
    blur: Blur | None = None
    kernel: Annotated[int, Field(ge=1)] | None = None
    """Width of the blur's window, or length of the motion, in pixels of the frame."""
    sigma_x: NotNegative | None = None
    sigma_y: NotNegative | None = None
    """Deviations of the Gaussian along its own axes, in pixels of the frame."""
    angle: Finite | None = None
    """Radians by which the Gaussian's axes or the motion turn from the x towards the y axis."""
    noise_sd: NotNegative = 0.0
    """Deviation of the noise, in levels of 0..255."""
    noise_shared: bool = False
    """Whether all channels get the same noise."""
    noise_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    grey: bool = False
    grey_target: bool = False
    """Whether the high-resolution picture is made grey too."""

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """One line with sorted keys; `from_json` gives back an equal record."""
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Record:
        """Read `to_json`'s line; raises UserError with the field that does not fit."""
        try:
            return _RECORDS.validate_json(text)
        except ValidationError as error:
            reason = first_mistake(error.errors(), whole="JSON")
            raise UserError(f"degradation record: {reason}; draw it again") from None


_RECORDS = TypeAdapter(Record)
"""Made once: that takes longer than all else that a training does with a picture of 128."""
