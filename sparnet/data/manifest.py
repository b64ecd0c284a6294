"""Manifests: the tables that say what lies in the shards, as Parquet with a fixed schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sparnet.errors import UserError
from sparnet.files import replacing

Row = Mapping[str, Any]
_ROWS_PER_GROUP = 8192


def schema(*columns: tuple[str, pa.DataType], nullable: Iterable[str] = ()) -> pa.Schema:
    """Columns that may hold no nulls, except those named in `nullable`."""
    may_be_null = set(nullable)
    return pa.schema([pa.field(name, kind, name in may_be_null) for name, kind in columns])


NAME = "manifest.parquet"
FACES_NAME = "faces.parquet"
QUARANTINE_NAME = "quarantine.parquet"
SUMMARY = "summary.json"

RAW = schema(
    ("id", pa.string()),
    ("shard", pa.string()),
    ("file", pa.string()),
    ("sha256", pa.string()),
    ("bytes", pa.int64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("source", pa.string()),
    ("licence", pa.string()),
    ("person", pa.string()),
    nullable=("width", "height", "person"),
)

PREPARED = schema(
    ("id", pa.string()),
    ("size", pa.int32()),
    ("split", pa.string()),
    ("person", pa.string()),
    ("shard", pa.string()),
    ("member", pa.string()),
    ("sha256", pa.string()),
    ("pixels_sha256", pa.string()),
    ("source", pa.string()),
    ("licence", pa.string()),
    ("source_width", pa.int32()),
    ("source_height", pa.int32()),
    ("grey", pa.bool_()),
    ("mean", pa.float64()),
    ("std", pa.float64()),
    ("sharpness", pa.float64()),
)

FACES = schema(
    ("id", pa.string()),
    ("picture", pa.string()),
    ("file", pa.string()),
    ("split", pa.string()),
    ("person", pa.string()),
    ("person_from", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("left", pa.float64()),
    ("top", pa.float64()),
    ("right", pa.float64()),
    ("bottom", pa.float64()),
    ("score", pa.float64()),
    ("eye_distance", pa.float64()),
    ("turned", pa.float64()),
    ("upside_down", pa.bool_()),
    ("phash", pa.string()),
    ("phash_mirrored", pa.string()),
    ("brightness", pa.float64()),
    ("contrast", pa.float64()),
    ("sharpness", pa.float64()),
    ("saturation", pa.float64()),
    ("grey", pa.bool_()),
    ("drawn", pa.float64()),
    ("letterbox", pa.float64()),
    ("bandwidth", pa.float64()),
    ("blockiness", pa.float64()),
    ("watermark", pa.float64()),
    ("embedding", pa.list_(pa.float32())),
    nullable=("score", "eye_distance", "turned", "upside_down", "embedding"),
)
"""A row a kept face: where it was found and what was seen of it. Null: no face was sought."""

QUARANTINE = schema(
    ("id", pa.string()),
    ("picture", pa.string()),
    ("file", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
)


class ManifestWriter:
    """Append rows to a Parquet file; the same rows give the same bytes. A context manager.

    Rows are checked against the schema: a missing or unknown column, or a null where none may be,
    is a ValueError. The file is complete, or not there.
    """

    def __init__(self, path: Path, columns: pa.Schema) -> None:
        self._columns = columns
        self._names = set(columns.names)
        self._required = [field.name for field in columns if not field.nullable]
        self._rows: list[Row] = []
        self._place = replacing(path)
        self._parquet: pq.ParquetWriter | None = None

    def add(self, row: Row) -> None:
        if set(row) != self._names:
            raise ValueError(f"columns differ from the schema: {sorted(set(row) ^ self._names)}")
        empty = [name for name in self._required if row[name] is None]
        if empty:
            raise ValueError(f"columns may not be null: {empty}")
        self._rows.append(row)
        if len(self._rows) == _ROWS_PER_GROUP:
            self._write_group()

    def __enter__(self) -> Self:
        temporary = self._place.__enter__()
        self._parquet = pq.ParquetWriter(temporary, self._columns, compression="zstd")
        return self

    def __exit__(self, *failure: Any) -> None:
        assert self._parquet is not None
        if failure[0] is None:
            self._write_group()
        self._parquet.close()
        self._place.__exit__(*failure)

    def _write_group(self) -> None:
        assert self._parquet is not None
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=self._columns))
        self._rows = []


def write(path: Path, rows: Iterable[Row], columns: pa.Schema) -> None:
    """Write all rows, atomically and deterministically; see ManifestWriter for what is refused."""
    with ManifestWriter(path, columns) as writer:
        for row in rows:
            writer.add(row)


def read(
    path: Path, columns: pa.Schema | None = None, names: list[str] | None = None
) -> pd.DataFrame:
    """The table, or its columns `names`; UserError where it is missing, damaged or lacks one."""
    with _opened(path, columns) as parquet:
        return parquet.read(names).to_pandas()


def rows(path: Path, columns: pa.Schema | None = None) -> Iterator[dict[str, Any]]:
    """The rows as dictionaries, None for null, without holding the table in memory."""
    with _opened(path, columns) as parquet:
        for batch in parquet.iter_batches():
            yield from batch.to_pylist()


def records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of a table in memory as dictionaries, None for what is missing."""
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        missing = (isinstance(value, float) and value != value for value in values)
        known = (None if gone else value for gone, value in zip(missing, values, strict=True))
        yield dict(zip(names, known, strict=True))


def count(path: Path) -> int:
    """Number of rows, from the file's footer."""
    with _opened(path, None) as parquet:
        return int(parquet.metadata.num_rows)


def _opened(path: Path, columns: pa.Schema | None) -> pq.ParquetFile:
    try:
        parquet = pq.ParquetFile(path)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run `dvc repro`, which writes it") from None
    except (OSError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{path}: not a manifest ({text}); delete it and run `dvc repro`") from None
    missing = set(columns.names if columns else ()) - set(parquet.schema_arrow.names)
    if missing:
        raise UserError(f"{path}: lacks {', '.join(sorted(missing))}; delete it and `dvc repro`")
    return parquet
