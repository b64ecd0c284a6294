"""Every expectation about photographs fails for pictures with its defect, and names their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from blemished import FACE, barred, cartoon, enlarged, greyed, jpeg, wrecked, written_over

from sparnet.config import Photographs
from sparnet.data.inspection import inspect
from sparnet.data.likeness import perceptual_hashes
from sparnet.data.validation import Settings, check, defects, expectations, validate
from sparnet.data.validation.result import Outcome
from sparnet.faces.alignment import Box
from sparnet.images import Picture

SIDE = 256
RULES = [one["meta"]["rule"] for one in expectations.suite("photographs")["expectations"]]
Blemish = Callable[[Picture], Picture]


def row(
    name: str, picture: Picture, face: Box | None, hashes: tuple[str, str], **others: Any
) -> dict[str, Any]:
    """What faces.parquet says of a picture."""
    height, width = picture.shape[:2]
    left, top, right, bottom = face or (0, 0, width, height)
    place = {"left": left, "top": top, "right": right, "bottom": bottom}
    names = {"id": name.removesuffix(".jpg"), "file": name, "phash": hashes[0]}
    names["phash_mirrored"] = hashes[1]
    return names | place | {"upside_down": False} | asdict(inspect(picture, face)) | others


def any_hashes(number: int) -> tuple[str, str]:
    """Hashes like those of another picture for every number."""
    draws = np.random.default_rng(number)
    return draws.bytes(32).hex(), draws.bytes(32).hex()


def windows(astronaut: Picture) -> list[tuple[Picture, Box]]:
    """Twenty portraits from one photograph, and where the face is in each."""
    left, top, right, bottom = FACE
    found = []
    for number in range(20):
        x, y = 80 + 4 * (number % 5), 8 + 6 * (number // 5)
        window = np.ascontiguousarray(astronaut[y : y + SIDE, x : x + SIDE])
        found.append((window, (left - x, top - y, right - x, bottom - y)))
    return found


@pytest.fixture(scope="module")
def sound(astronaut: Picture) -> pd.DataFrame:
    """The rows of twenty sound photographs."""
    return pd.DataFrame(
        row(f"sound{number:02d}.jpg", picture, face, any_hashes(number))
        for number, (picture, face) in enumerate(windows(astronaut))
    )


BLEMISHES: dict[str, Blemish] = {
    "drawn": lambda picture: cartoon(int(picture[0, 0, 0])),
    "letterboxed": lambda picture: barred(picture, (0, 0, 0), 0.12, upright=False),
    "enlarged": lambda picture: enlarged(picture, "pillow bicubic"),
    "wrecked": wrecked,
    "watermarked": lambda picture: written_over(picture, "www.photos.com", 0.5, False, 0.35),
    "odd_grey": greyed,
}


def blemished(rule: str, astronaut: Picture, count: int) -> pd.DataFrame:
    """`count` pictures with the defect that a rule looks for."""
    rows = []
    for number, (picture, _) in enumerate(windows(astronaut)[:count]):
        name, hashes = f"bad{number:02d}.jpg", any_hashes(100 + number)
        if rule == "upside_down":
            rows.append(row(name, picture[::-1, ::-1], None, hashes, upside_down=True))
        elif rule == "duplicate":
            rows += twins(name, picture)
        else:
            rows.append(row(name, BLEMISHES[rule](picture), None, hashes))
    return pd.DataFrame(rows)


def twins(name: str, picture: Picture) -> list[dict[str, Any]]:
    """A picture and its mirror image, encoded anew."""
    mirrored = jpeg(np.ascontiguousarray(picture[:, ::-1]), 70)
    return [
        row(name, picture, None, perceptual_hashes(picture)),
        row(f"again_{name}", mirrored, None, perceptual_hashes(mirrored)),
    ]


def outcomes(photographs: pd.DataFrame, limits: Photographs) -> dict[str, Outcome]:
    frame = defects.table(photographs, limits, largest=512)
    found = check("photographs", frame, defects.parameters(limits))
    return {outcome.rule: outcome for outcome in found}


def joined(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def limits() -> Photographs:
    """The defaults."""
    return Photographs()


def test_sound_photographs_pass_every_rule(sound: pd.DataFrame, limits: Photographs) -> None:
    found = outcomes(sound, limits)
    assert list(found) == RULES
    assert {rule: outcome.status for rule, outcome in found.items()} == dict.fromkeys(
        RULES, "passed"
    )


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.endswith("_share")])
def test_a_warning_names_the_picture_with_the_defect(
    rule: str, sound: pd.DataFrame, limits: Photographs, astronaut: Picture
) -> None:
    bad = blemished(rule, astronaut, 1)
    outcome = outcomes(joined(sound, bad), limits)[rule]
    assert outcome.status == "failed"
    assert outcome.severity == "warning"
    assert sorted(each["file"] for each in outcome.rows) == sorted(bad["file"])
    assert not outcome.reason


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.endswith("_share")])
def test_too_many_of_a_defect_are_critical(
    rule: str, sound: pd.DataFrame, limits: Photographs, astronaut: Picture
) -> None:
    defect = rule.removesuffix("_share")
    bad = blemished(defect, astronaut, 3)
    outcome = outcomes(joined(sound, bad), limits)[rule]
    assert outcome.status == "failed"
    assert outcome.severity == "critical"
    assert set(bad["file"]) <= {each["file"] for each in outcome.rows}
    many = joined(*[sound] * 30, bad).assign(phash=hashes(), phash_mirrored=hashes(1))
    if defect != "duplicate":
        assert outcomes(many, limits)[rule].status == "passed"


def hashes(seed: int = 0) -> Callable[[pd.DataFrame], list[str]]:
    """Hashes of as many different pictures as a table has rows."""
    draws = np.random.default_rng(seed)
    return lambda frame: [draws.bytes(32).hex() for _ in range(len(frame))]


def test_a_few_duplicates_pass_the_share_and_are_named(
    sound: pd.DataFrame, limits: Photographs, astronaut: Picture
) -> None:
    many = joined(*[sound] * 20).assign(phash=hashes(), phash_mirrored=hashes(1))
    found = outcomes(joined(many, blemished("duplicate", astronaut, 1)), limits)
    assert found["duplicate_share"].status == "passed"
    assert found["duplicate"].rows[0]["duplicate_of"] == "bad00.jpg"


def test_a_limit_that_is_not_asked_is_skipped(sound: pd.DataFrame, astronaut: Picture) -> None:
    nothing = Photographs(**dict.fromkeys(Photographs.model_fields))
    found = outcomes(joined(sound, blemished("duplicate", astronaut, 2)), nothing)
    assert {outcome.status for outcome in found.values()} == {"skipped"}


def test_what_was_not_looked_for_is_skipped(sound: pd.DataFrame, limits: Photographs) -> None:
    unseen = outcomes(sound.assign(upside_down=None), limits)
    assert unseen["upside_down"].status == unseen["upside_down_share"].status == "skipped"


def test_grey_pictures_are_odd_only_among_coloured_ones(
    sound: pd.DataFrame, limits: Photographs, astronaut: Picture
) -> None:
    grey = blemished("odd_grey", astronaut, 5)
    assert grey["grey"].all()
    assert outcomes(joined(sound, grey), limits)["odd_grey"].failing == 5
    assert outcomes(joined(sound[:3], grey), limits)["odd_grey"].status == "passed"


def test_blur_is_no_matter_where_detail_is_left_for_the_largest_size(
    limits: Photographs, astronaut: Picture
) -> None:
    soft = blemished("enlarged", astronaut, 1)
    assert outcomes(soft, limits)["enlarged"].status == "failed"
    assert defects.table(soft, limits, largest=32)["bandwidth"].tolist() == [1.0]


def test_photographs_are_validated_beside_the_manifests(
    good: Any, sound: pd.DataFrame, astronaut: Picture
) -> None:
    bad = blemished("wrecked", astronaut, 3)
    result = validate(
        good.faces,
        good.pairs,
        good.summary,
        good.limits,
        Settings(good.settings.sizes, good.settings.degrade),
        joined(sound, bad),
    )
    assert [outcome.name for outcome in result.failed_critical] == ["photographs.wrecked_share"]
    assert "bad00.jpg" in result.message()
    assert "bad00.jpg" in result.html()
    assert result.counts["photographs"] == 23


def test_without_photographs_their_rules_are_skipped(good: Any) -> None:
    found = [outcome for outcome in good.validate().outcomes if outcome.table == "photographs"]
    assert len(found) == len(RULES)
    assert {outcome.status for outcome in found} == {"skipped"}


def test_grey_is_what_an_eye_finds_grey(good: Any, sound: pd.DataFrame, astronaut: Picture) -> None:
    photographs = joined(sound, blemished("odd_grey", astronaut, 15))
    result = validate(good.faces, good.pairs, good.summary, good.limits, good.settings, photographs)
    assert "collection.grey_share" in [outcome.name for outcome in result.failed_critical]
