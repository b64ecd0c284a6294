"""What every block of the parameters shares: strictness, and the ranges of numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
