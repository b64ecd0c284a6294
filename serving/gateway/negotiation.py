"""In which form a client wants its answer (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, get_args

from serving.gateway.problems import Refusal

PictureType = Literal["image/png", "image/webp", "image/jpeg"]

PICTURES: tuple[PictureType, ...] = get_args(PictureType)
"""In our order, which decides between formats that a client likes as well."""

JSON = "application/json"
OFFERED = (*PICTURES, JSON)

Ranges = list[tuple[str, float]]


@dataclass(frozen=True)
class Wanted:
    """The format of the picture, and whether it comes within JSON."""

    picture: PictureType
    json: bool = False

    @property
    def media_type(self) -> str:
        """Of the answer."""
        return JSON if self.json else self.picture


def choose(accept: str | None) -> Wanted:
    """What the header `Accept` likes best; without a header, the first picture format.

    The most specific range that fits a type gives its weight; ranges that cannot be read count as
    not there. Who names JSON and likes no picture better gets JSON, with a picture in the format
    that is liked best among the pictures, if any is. Raises Refusal 406 where every type has
    weight 0.
    """
    if accept is None or not accept.strip():
        return Wanted(PICTURES[0])
    ranges = [parsed for part in accept.split(",") if (parsed := _parse(part)) is not None]
    picture = max(PICTURES, key=lambda offered: _weight(offered, ranges))
    liking, of_json = _weight(picture, ranges), _weight(JSON, ranges)
    if liking == of_json == 0:
        raise Refusal(
            HTTPStatus.NOT_ACCEPTABLE, f"an answer can be {', '.join(OFFERED)}; see Accept"
        )
    named = any(media == JSON for media, _ in ranges)
    return Wanted(picture, json=of_json > liking or (named and of_json == liking))


def _parse(text: str) -> tuple[str, float] | None:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    if media.count("/") != 1:
        return None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return None
            return (media, weight) if 0 <= weight <= 1 else None
    return media, 1.0


def _weight(offered: str, ranges: Ranges) -> float:
    for form in (offered, f"{offered.split('/')[0]}/*", "*/*"):
        for media, weight in ranges:
            if media == form:
                return weight
    return 0.0
