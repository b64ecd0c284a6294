"""The query parameters of the routes that restore pictures; another parameter is an error."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from serving.protocol import Options
from sparnet.errors import first_mistake


def _flag(value: Any) -> Any:
    """Only what the interface describes; pydantic would take "on" and "1" as well."""
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("is true or false")


Flag = Annotated[bool, BeforeValidator(_flag)]


class FacesQuery(BaseModel):
    """Of a picture that is one aligned face."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(None, description="its name; see /v1/models", examples=["sparnethd"])
    match_colour: Flag = Field(
        False, description="faces keep the colours that they have in the picture"
    )
    attention: Flag = Field(
        False,
        description="show where the network looks in the largest faces; JSON answers of models "
        "with attention only",
    )

    def options(self) -> Options:
        """What the handler is told."""
        return Options(aligned=True, match_colour=self.match_colour, attention=self.attention)


class EnhanceQuery(FacesQuery):
    """Of a photograph."""

    aligned: Flag = Field(False, description="the whole picture is one aligned face")
    upscale: Annotated[int, Field(ge=1, le=4)] = Field(
        1, description="how many times the photograph is enlarged"
    )
    min_confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        0.0, description="faces of less confidence stay as they are"
    )
    small_faces: Flag = Field(False, description="look closer at a large photograph, part by part")
    turned_faces: Flag = Field(
        False, description="look for lying and tilted faces beside upright ones too"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        try:
            self.options()
        except ValidationError as error:
            raise ValueError(first_mistake(error.errors())) from None
        return self

    def options(self) -> Options:
        return Options(**self.model_dump(exclude={"model"}))
