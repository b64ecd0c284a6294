"""Which picture format a client wants (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from http import HTTPStatus

from serving.gateway.problems import Refusal

OFFERED = ("image/png", "image/webp", "image/jpeg")
"""In our order, which decides between formats that a client likes as well."""


def choose(accept: str | None) -> str:
    """The offered media type that the header `Accept` likes best; without a header, the first.

    The most specific range that fits a type gives its weight; ranges that cannot be read count as
    not there. Raises Refusal 406 where every type has weight 0.
    """
    if accept is None or not accept.strip():
        return OFFERED[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _parse(part)) is not None]
    best = max(OFFERED, key=lambda offered: _weight(offered, ranges))
    if _weight(best, ranges) == 0:
        raise Refusal(
            HTTPStatus.NOT_ACCEPTABLE, f"an answer can be {', '.join(OFFERED)}; see Accept"
        )
    return best


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


def _weight(offered: str, ranges: list[tuple[str, float]]) -> float:
    for form in (offered, f"{offered.split('/')[0]}/*", "*/*"):
        for media, weight in ranges:
            if media == form:
                return weight
    return 0.0
