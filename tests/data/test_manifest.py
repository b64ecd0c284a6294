from __future__ import annotations

from pathlib import Path

import pytest

from sparnet.data import manifest
from sparnet.errors import UserError

ROW = {
    "id": "a",
    "picture": "a",
    "file": "a.png",
    "reason": "unreadable",
    "detail": "no picture",
}


def rows(count: int) -> list[dict[str, str]]:
    return [ROW | {"id": f"{index:06d}"} for index in range(count)]


@pytest.mark.parametrize("count", [0, 1, 20_000])
def test_rows_come_back_in_order(tmp_path: Path, count: int) -> None:
    path = tmp_path / "table.parquet"
    manifest.write(path, rows(count), manifest.QUARANTINE)
    assert list(manifest.rows(path, manifest.QUARANTINE)) == rows(count)
    assert manifest.count(path) == count
    assert list(manifest.read(path).columns) == list(ROW)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        manifest.write(tmp_path / name, rows(9000), manifest.QUARANTINE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a"}, "detail"),
        (ROW | {"extra": 1}, "extra"),
        (ROW | {"reason": None}, "may not be null.*reason"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_left(
    tmp_path: Path, row: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        manifest.write(tmp_path / "table.parquet", [ROW, row], manifest.QUARANTINE)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with pytest.raises(UserError, match=r"table\.parquet: missing"):
        manifest.read(path)
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match=r"table\.parquet: not a manifest"):
        manifest.read(path)
    manifest.write(path, [ROW], manifest.QUARANTINE)
    with pytest.raises(UserError, match=r"table\.parquet: lacks bytes, height"):
        manifest.read(path, manifest.RAW)
