"""From raw files to square pictures of faces at the training sizes, split by person.

Three passes: look at every picture (`looking`, slow, kept by `memory`), decide which faces are
taken, whose they are and into which split they go (`deciding`, `people`), cut them (`cutting`,
`writing`). What cannot be used goes to a quarantine list with its reason; counts add up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparnet.config import Prepare
from sparnet.data import manifest
from sparnet.data.parallel import Workers, ordered_map
from sparnet.data.preparation.cutting import Cutter, Place
from sparnet.data.preparation.deciding import Decision, Refused, decide
from sparnet.data.preparation.looking import Looker
from sparnet.data.preparation.memory import Memory
from sparnet.data.preparation.writing import Output, Row
from sparnet.data.shards import ShardReader
from sparnet.errors import UserError
from sparnet.files import replacing_folder, write_json
from sparnet.progress import progress

__all__ = ["prepare"]


def prepare(
    raw: Path,
    folder: Path,
    settings: Prepare,
    seed: int,
    workers: int | Workers,
    state: Path,
) -> dict[str, Any]:
    """Replace `folder` by the prepared faces of the `raw` folder; returns the summary.

    What was seen is kept in the `state` folder, so that an interrupted preparation goes on. The
    same bytes come out for any number of workers and interruptions. Raises UserError where a split
    stays empty.
    """
    pictures = manifest.read(raw / manifest.NAME, manifest.RAW)
    pictures = pictures.sort_values("id").set_index("id", drop=False)
    firsts = pictures.groupby("sha256", sort=False)["id"].transform("first")
    originals = pictures[firsts == pictures["id"]]
    seen = _look(raw, originals, state, settings, workers)
    decision = decide(_candidates(originals, seen), settings, seed)
    with replacing_folder(folder) as temporary:
        with Output(temporary, settings) as output:
            _cut(raw, pictures, decision, output, settings, workers)
            _refuse(pictures, firsts, decision, output)
        summary = output.summary(len(pictures))
        _check_splits(summary)
        write_json(temporary / manifest.SUMMARY, summary)
    return summary


def _look(
    raw: Path, pictures: pd.DataFrame, state: Path, settings: Prepare, workers: int | Workers
) -> pd.DataFrame:
    """What is seen in the pictures: rows of looking.SEEN. Only new ones are looked at."""
    detector = settings.faces.detector if settings.faces else "none"
    with Memory(state, detector) as memory:
        known = memory.known()
        new = pictures[~pictures["sha256"].isin(known)]
        places = new[["sha256", "shard", "file"]].itertuples(index=False, name=None)
        looks = ordered_map(Looker.create(raw, detector).look, places, workers)
        for rows in progress(looks, len(new), "look at pictures"):
            memory.add(rows)
    memory.forget_unused()
    return memory.recall(pictures["sha256"])


def _candidates(pictures: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """What was seen, with ids: the picture's for its largest face, with ~2, ~3... for the rest."""
    known = pictures.set_index("sha256").loc[seen["sha256"]]
    number = seen["face"].to_numpy() + 1
    suffix = np.where(number > 1, "~" + number.astype(str).astype(object), "")
    named = known["person"].astype(object).where(known["person"].notna(), None)
    return seen.assign(
        id=known["id"].to_numpy() + suffix,
        picture=known["id"].to_numpy(),
        file=known["file"].to_numpy(),
        named=named.to_numpy(),
    ).sort_values("id", ignore_index=True)


def _cut(
    raw: Path,
    pictures: pd.DataFrame,
    decision: Decision,
    output: Output,
    settings: Prepare,
    workers: int | Workers,
) -> None:
    groups: deque[list[Row]] = deque()
    cutter = Cutter(ShardReader(raw), settings)
    count = decision.taken["picture"].nunique()
    work = _work(pictures, decision.taken, groups)
    for cuts in progress(ordered_map(cutter.cut, work, workers), count, "prepare"):
        faces = groups.popleft()
        row = _raw(pictures, faces[0]["picture"])
        for face, each in zip(faces, cuts, strict=True):
            output.add(face, row, each)


def _work(
    pictures: pd.DataFrame, taken: pd.DataFrame, groups: deque[list[Row]]
) -> Iterator[tuple[str, str, list[Place]]]:
    """What a Cutter is given, picture by picture; the faces behind it wait in `groups`."""
    for picture, rows in groupby(manifest.records(taken), key=lambda face: face["picture"]):
        faces = list(rows)
        groups.append(faces)
        shard, member = pictures.loc[picture, ["shard", "file"]]
        yield shard, member, [_place(face) for face in faces]


def _place(face: Row) -> Place:
    points = face["points"]
    box = (face["left"], face["top"], face["right"], face["bottom"])
    return Place(box, None if points is None else tuple(points))


def _refuse(pictures: pd.DataFrame, firsts: pd.Series, decision: Decision, output: Output) -> None:
    """List what was not taken, and the copies of files: unfit like the first, or duplicates."""
    for id, refused in decision.refused:
        output.refuse(id, _raw(pictures, id.partition("~")[0]), refused)
    unfit = {id: why for id, why in decision.refused if why.reason != "near_duplicate"}
    copies = firsts[firsts != pictures["id"]]
    for copy, first in zip(copies.index, copies, strict=True):
        why = unfit.get(first) or Refused("duplicate", f"same file as {first}")
        output.refuse(copy, _raw(pictures, copy), why)


def _raw(pictures: pd.DataFrame, id: str) -> Row:
    """The row of the raw manifest."""
    return {str(name): value for name, value in pictures.loc[id].items()}


def _check_splits(summary: dict[str, Any]) -> None:
    if not summary["kept"]:
        counts = ((reason, count) for reason, count in summary["reasons"].items() if count)
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts)
        raise UserError(f"data/raw: none of its {summary['raw']} pictures can be used ({reasons})")
    persons = sum(split["persons"] for split in summary["splits"].values())
    for name, split in summary["splits"].items():
        if not split["pictures"]:
            cure = "lower val and test" if name == "train" else f"raise {name}"
            raise UserError(
                f"prepare: none of {persons} persons fell into the split {name!r}; {cure}, "
                "add persons or change seed"
            )
