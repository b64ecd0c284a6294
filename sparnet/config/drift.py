"""How far new data may be from those that the champion was trained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparnet.config.base import Block

Gap = Annotated[float, Field(gt=0, le=1)]
"""Largest gap between two distribution functions; of two shares, their difference."""


class Drift(Block):
    """Limits; null: not judged. 0.2 is where a shift by half a standard deviation lies."""

    severity: Literal["warning", "critical"] = Field(
        "warning", description="critical: data over a limit stop the pipeline"
    )
    face_size: Gap | None = Field(0.2, description="gap in how large the faces were found")
    brightness: Gap | None = 0.2
    contrast: Gap | None = 0.2
    sharpness: Gap | None = 0.2
    saturation: Gap | None = 0.2
    grey: Gap | None = Field(0.2, description="difference of the shares of grey pictures")
    embedding: Annotated[float, Field(gt=0)] | None = Field(
        0.3, description="distance of the mean embeddings, in spreads of the champion's"
    )

    def limits(self) -> dict[str, float | None]:
        """By quantity, in the order of the report."""
        return self.model_dump(exclude={"severity"})
