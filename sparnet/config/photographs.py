"""What the suite of that name asks of photographs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparnet.config.base import Block, Share

Bits = Annotated[int, Field(ge=0, le=64)]


class Photographs(Block):
    """What may be wrong with the pictures that faces were found in, as `inspect` measures it.

    A picture over a limit is named in a warning; more of them than the share stop the pipeline.
    Null: not asked.
    """

    max_drawn: Share | None = Field(0.2, description="a face above it is taken for a drawing")
    max_drawn_share: Share | None = 0.03
    max_upside_down_share: Share | None = 0.01
    max_letterbox: Share | None = Field(0.1, description="share of a picture that may be bars")
    max_letterboxed_share: Share | None = 0.01
    min_bandwidth: Share | None = Field(
        0.3,
        description="finest detail beside what the pixels hold; enlarged 4 times it is 0.22 to 0.3",
    )
    max_enlarged_share: Share | None = 0.05
    max_blockiness: Share | None = Field(0.2, description="visible part of JPEG's 8x8 grid")
    max_wrecked_share: Share | None = 0.01
    max_watermark: Share | None = Field(0.5, description="signs of text laid over a picture")
    max_watermarked_share: Share | None = 0.03
    max_duplicate_bits: Bits | None = Field(
        40, description="bits of 256, of perceptual hashes, within which two faces are one picture"
    )
    max_duplicate_share: Share | None = 0.01
    odd_grey_share: Share | None = Field(
        0.5, description="where a smaller share of the pictures is grey, those are named"
    )
