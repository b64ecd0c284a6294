"""How far a set of faces has moved from another, told from their profiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparnet.config import Drift
from sparnet.data.validation import expectations
from sparnet.data.validation.profile import QUANTITIES, Embeddings, Profile, Spread
from sparnet.data.validation.result import Outcome

FALSE_ALARM = 1e-3
"""Chance at most that two samples of the same faces, as small as are judged, are over a limit."""

WORDS = {
    "face_size": "face size, pixels",
    "brightness": "brightness, mean luma",
    "contrast": "contrast, deviation of the luma",
    "sharpness": "sharpness, detail at 64 pixels",
    "saturation": "saturation, 0 to 1",
    "grey": "share of grey pictures",
    "embedding": "likeness, cosine of the embeddings",
}


@dataclass(frozen=True)
class Row:
    """One quantity in both sets; None: not measured there, or no limit.

    `reference` and `new`: means over the faces; for `grey` shares, for `embedding` the mean cosine
    to the reference's mean. `reason`: why it is not judged.
    """

    quantity: str
    reference: float | None
    new: float | None
    distance: float | None
    limit: float | None
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether it is judged, and further away than the limit."""
        if self.reason or self.distance is None or self.limit is None:
            return False
        return self.distance > self.limit

    def __str__(self) -> str:
        return (
            f"{WORDS[self.quantity]}: {_text(self.reference)} -> {_text(self.new)}, "
            f"distance {_text(self.distance)}, limit {_text(self.limit)}"
        )


def compare(reference: Profile, new: Profile, limits: Drift) -> tuple[Row, ...]:
    """A row a quantity, in the order of `limits`."""
    wanted = limits.limits()
    return (
        *(
            _of_spread(name, reference.quantities.get(name), new.quantities.get(name), wanted[name])
            for name in QUANTITIES
        ),
        _of_shares(reference, new, wanted["grey"]),
        _of_embeddings(reference.embedding, new.embedding, wanted["embedding"]),
    )


def judge(rows: Sequence[Row], champion: str, limits: Drift) -> tuple[Outcome, ...]:
    """Run the suite `drift` over what `compare` found; `champion` names the other side."""
    table = pd.DataFrame([{"champion": champion} | {row.quantity: row.distance for row in rows}])
    given = {row.quantity: None if row.reason else row.limit for row in rows}
    reasons = {row.quantity: row.reason for row in rows}
    outcomes = expectations.run("drift", table, ["champion"], given)
    return tuple(
        dataclasses.replace(
            outcome,
            severity=limits.severity,
            reason=reasons[outcome.rule] if outcome.status == "skipped" else outcome.reason,
        )
        for outcome in outcomes
    )


def gap(reference: Spread, new: Spread) -> float:
    """Kolmogorov-Smirnov distance: the largest difference between the shares of two sets that lie
    below any one value. 0 (alike) to 1 (no overlap), whatever the quantity's scale.

    Taken from quantiles, between which values are thought evenly spread, so 0.02 off at most.
    """
    places = np.union1d(reference.quantiles, new.quantiles)
    before = reference.below(places, "left") - new.below(places, "left")
    after = reference.below(places, "right") - new.below(places, "right")
    return float(np.abs([before, after]).max())


def faces_needed(limit: float) -> int:
    """Faces in each of two sets, so that chance alone keeps their `gap` within `limit`.

    By the Dvoretzky-Kiefer-Wolfowitz inequality for two samples (Wei, Dudley: Statistics &
    Probability Letters 82, 2012), at FALSE_ALARM.
    """
    return math.ceil(math.log(2 / FALSE_ALARM) / limit**2)


def persons_needed(limit: float, widest: float) -> int:
    """Persons in each of two sets, so that chance alone keeps their means within `limit` spreads.

    The means of n persons lie sqrt(2 / n) spreads apart, and t sqrt(2 / n) further only with
    exp(-t^2 / (2 widest)), `widest` being the share of the variance along one direction (Ledoux:
    The concentration of measure phenomenon, 2001, section 7.1).
    """
    rare = math.sqrt(2 * widest * math.log(1 / FALSE_ALARM))
    return math.ceil(2 * ((1 + rare) / limit) ** 2)


def _of_spread(
    quantity: str, reference: Spread | None, new: Spread | None, limit: float | None
) -> Row:
    if reference is None or new is None:
        means = [one.mean if one else None for one in (reference, new)]
        return Row(quantity, means[0], means[1], None, limit, _unmeasured(reference is None))
    reason = _too_few("faces", reference.count, new.count, limit and faces_needed(limit))
    distance = _rounded(gap(reference, new))
    return Row(quantity, reference.mean, new.mean, distance, limit, reason)


def _of_shares(reference: Profile, new: Profile, limit: float | None) -> Row:
    shares = reference.grey_share, new.grey_share
    if shares[0] is None or shares[1] is None:
        return Row("grey", *shares, None, limit, _unmeasured(shares[0] is None))
    reason = _too_few("faces", reference.faces, new.faces, limit and faces_needed(limit))
    return Row("grey", *shares, _rounded(abs(shares[1] - shares[0])), limit, reason)


def _of_embeddings(
    reference: Embeddings | None, new: Embeddings | None, limit: float | None
) -> Row:
    if reference is None or new is None or len(reference.mean) != len(new.mean):
        return Row("embedding", None, None, None, limit, _unmeasured(reference is None))
    theirs, ours = np.array(reference.mean), np.array(new.mean)
    length = float(np.linalg.norm(theirs))
    cosine = float(ours @ theirs) / length if length else 0.0
    distance = float(np.linalg.norm(ours - theirs)) / max(reference.spread, 1e-6)
    needed = limit and persons_needed(limit, max(reference.widest, new.widest))
    reason = _too_few("persons", reference.persons, new.persons, needed)
    return Row("embedding", _rounded(length), _rounded(cosine), _rounded(distance), limit, reason)


def _unmeasured(of_reference: bool) -> str:
    return f"not measured of the {'champion’s' if of_reference else 'new'} data"


def _too_few(what: str, reference: float, new: float, needed: float | None) -> str:
    """Why a distance is not judged, or nothing."""
    if needed is None:
        return "params give no limit"
    if min(reference, new) >= needed:
        return ""
    return f"needs {needed:.0f} {what}; the champion’s data have {reference:.0f}, the new {new:.0f}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _rounded(value: float) -> float:
    return round(value, 6)
