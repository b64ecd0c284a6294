"""The tables that the expectations look at: the manifests, and what follows from their rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparnet.config import Degrade, Sizes
from sparnet.data import manifest
from sparnet.data.degradation import Record
from sparnet.data.degradation.replay import low_size
from sparnet.data.pairing import MODELS, PAIRS
from sparnet.data.validation import presets
from sparnet.data.validation.presets import Draw, with_derived

ENOUGH_DRAWS = 100
"""With fewer draws than this their distribution is not judged."""

_RECORD_FIELDS = [field.name for field in dataclasses.fields(Record)]


@dataclass(frozen=True)
class Settings:
    """What of the params the facts are measured against."""

    sizes: Sizes
    degrade: Degrade

    def of_model(self, model: str) -> tuple[float, str | None, float]:
        """(size, preset, variants in train) of a model; an unknown one has none."""
        if model not in MODELS:
            return np.nan, None, np.nan
        degradation = getattr(self.degrade, model)
        return getattr(self.sizes, model), degradation.preset, degradation.variants


def columns(faces: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per column that must exist: table, column, expected and found kind."""
    manifests = (("faces", faces, manifest.PREPARED), ("pairs", pairs, PAIRS))
    rows = [
        {
            "table": table,
            "column": field.name,
            "expected": _kind(field),
            "found": _found(frame, field),
        }
        for table, frame, schema in manifests
        for field in schema
    ]
    return pd.DataFrame(rows)


def collection(faces: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """One row: the counts of the preparation's summary beside those of the manifest."""
    listed = faces.drop_duplicates("id")
    candidates = summary["candidates"]
    row = {
        "raw": summary["raw"],
        "pictures": summary["pictures"],
        "candidates": candidates,
        "kept": summary["kept"],
        "accounted": summary["kept"] + summary["quarantined"],
        "listed": len(listed),
        "quarantined_share": summary["quarantined"] / max(candidates, 1),
        "grey_share": float(listed["grey"].mean()),
    }
    return pd.DataFrame([row])


def faces(faces: pd.DataFrame, pairs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The faces' manifest with, per row, its gaps, its split's pictures, the splits it is in."""
    split_of = faces.groupby
    return faces.assign(
        gaps=_gaps(faces, manifest.PREPARED),
        pictures_in_split=split_of(["split", "size"])["id"].transform("nunique"),
        sizes_of_picture=split_of("id")["size"].transform("nunique"),
        splits_of_person=split_of("person")["split"].transform("nunique"),
        splits_of_sha256=split_of("sha256")["split"].transform("nunique"),
        splits_of_pixels_sha256=split_of("pixels_sha256")["split"].transform("nunique"),
        source_side=faces[["source_width", "source_height"]].min(axis=1),
        models_without_pairs=_models_without_pairs(faces, pairs, settings.sizes),
    )


def pairs(faces: pd.DataFrame, pairs: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The pairs' manifest with, per row, its face, its model's params and its record's verdict."""
    face = _faces_of(pairs, faces)
    held_out = pairs["split"] != "train"
    wanted = pd.DataFrame(
        [settings.of_model(model) for model in pairs["model"]],
        columns=["size", "preset", "variants"],
        index=pairs.index,
    )
    records = [_fields(text) for text in pairs["record"]]
    return pairs.assign(
        gaps=_gaps(pairs, PAIRS),
        face_split=face["split"],
        face=_whereabouts(pairs, face),
        model_size=wanted["size"],
        model_preset=wanted["preset"],
        model_variants=wanted["variants"].where(~held_out, 1),
        variants_of_picture=pairs.groupby(["model", "id"])["variant"].transform("nunique"),
        lr_stored=pairs["lr_shard"].notna() & pairs["lr_member"].notna(),
        held_out=held_out,
        record_differs=_record_differs(pairs, records),
        lr_side=list(map(_low_side, records, pairs["size"])),
        outside_preset=outside_preset(pairs),
    )


def draws(pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per model and drawn parameter: how far its draws are from the preset's distribution."""
    columns = ("model", "preset", "parameter", "expected", "count", "distance", "limit")
    rows = [
        (model, preset, draw.name, str(draw.spread), len(values), *_distance(draw, values))
        for model, preset, draw, values in drawn(pairs)
    ]
    return pd.DataFrame(rows, columns=list(columns))


def drawn(pairs: pd.DataFrame) -> Iterable[tuple[str, str, Draw, pd.Series]]:
    """(model, preset, draw, its values) of every parameter that a preset really draws."""
    for key, group in with_derived(pairs).groupby(["model", "preset"]):
        model, preset = map(str, key)
        for draw in presets.EXPECTED.get(preset, ()):
            if not draw.is_constant:
                yield model, preset, draw, group.loc[draw.rows(group), draw.parameter]


def _distance(draw: Draw, values: pd.Series) -> tuple[float, float]:
    if not len(values):
        return np.nan, np.nan
    return draw.spread.distance(values), draw.spread.limit(len(values))


def _kind(field: pa.Field) -> str:
    if pa.types.is_boolean(field.type):
        return "flag"
    return "text" if pa.types.is_string(field.type) else "number"


def _found(frame: pd.DataFrame, field: pa.Field) -> str:
    if field.name not in frame:
        return "missing"
    values = frame[field.name]
    if field.nullable and values.isna().all():
        return _kind(field)
    if pd.api.types.is_bool_dtype(values):
        return "flag"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    kind = pd.api.types.infer_dtype(values, skipna=True)
    return "text" if kind == "string" else kind


def _gaps(frame: pd.DataFrame, schema: pa.Schema) -> pd.Series:
    """Per row the columns that lack a value and may not, comma-separated."""
    gaps = pd.Series("", index=frame.index, dtype=object)
    for field in schema:
        if not field.nullable:
            gaps[frame[field.name].isna()] += field.name + ","
    return gaps.str.rstrip(",")


def _faces_of(pairs: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """The faces' rows in the order of the pairs; all null where there is none."""
    known = faces.drop_duplicates(["id", "size"]).set_index(["id", "size"])
    found = known.reindex(pd.MultiIndex.from_frame(pairs[["id", "size"]]))
    return found.set_axis(pairs.index)


def _whereabouts(pairs: pd.DataFrame, face: pd.DataFrame) -> np.ndarray:
    """Per pair whether its face is listed, listed elsewhere than the pair says, or missing."""
    same = (pairs["hr_shard"] == face["shard"]) & (pairs["hr_member"] == face["member"])
    return np.where(face["shard"].isna(), "missing", np.where(same, "listed", "elsewhere"))


def _models_without_pairs(faces: pd.DataFrame, pairs: pd.DataFrame, sizes: Sizes) -> pd.Series:
    lacking = pd.Series("", index=faces.index, dtype=object)
    for model, size in sizes.model_dump().items():
        paired = pairs.loc[pairs["model"] == model, "id"]
        lacking[(faces["size"] == size) & ~faces["id"].isin(paired)] += model + ","
    return lacking.str.rstrip(",")


def _fields(record: str) -> dict[str, Any]:
    """The record's JSON, or nothing where it is not an object of the record's fields."""
    try:
        fields = json.loads(record)
    except (TypeError, ValueError):
        return {}
    return fields if isinstance(fields, dict) and set(fields) == set(_RECORD_FIELDS) else {}


def _record_differs(pairs: pd.DataFrame, records: list[dict[str, Any]]) -> list[str]:
    """Per row the fields whose columns do not hold what the record says, comma-separated."""
    stored = zip(*(pairs[name].tolist() for name in _RECORD_FIELDS), strict=True)
    return [
        ",".join(
            name
            for name, value in zip(_RECORD_FIELDS, row, strict=True)
            if (None if pd.isna(value) else value) != fields[name]
        )
        if fields
        else "unreadable"
        for row, fields in zip(stored, records, strict=True)
    ]


def _low_side(record: dict[str, Any], size: int) -> float:
    """Side of the low-resolution copy that the record makes of a square picture."""
    blank = np.broadcast_to(np.uint8(0), (size, size, 3))
    return low_size(blank, Record(**record))[0] if record else np.nan


def outside_preset(pairs: pd.DataFrame) -> pd.Series:
    """Per row the values that its preset cannot draw, as `name=value`, comma-separated."""
    outside = pd.Series("", index=pairs.index, dtype=object)
    for preset, group in with_derived(pairs).groupby("preset", dropna=False):
        expected = presets.EXPECTED.get(str(preset))
        if expected is None:
            outside[group.index] = f"preset={preset}"
            continue
        for parameter in dict.fromkeys(draw.parameter for draw in expected):
            of_parameter = [draw for draw in expected if draw.parameter == parameter]
            wrong = group.loc[~_allowed(group, of_parameter), parameter]
            outside[wrong.index] += wrong.map(lambda value, name=parameter: f"{name}={value},")
    return outside.str.rstrip(",")


def _allowed(frame: pd.DataFrame, draws: list[Draw]) -> pd.Series:
    """Which rows hold a value that the draw which applies to them can give."""
    values = frame[draws[0].parameter]
    otherwise = draws[0].otherwise
    allowed = values.isna() if otherwise is None else values == otherwise
    for draw in draws:
        rows = draw.rows(frame)
        allowed = allowed.where(~rows, draw.spread.holds(values))
    return allowed
