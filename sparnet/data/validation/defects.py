"""What is asked of the pictures that faces were found in, as a table and as parameters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd

from sparnet.config import Photographs
from sparnet.data.likeness import near_pairs, unpacked

_LIMITS = ("max_drawn", "max_letterbox", "min_bandwidth", "max_blockiness", "max_watermark")


def table(photographs: pd.DataFrame, limits: Photographs, largest: int) -> pd.DataFrame:
    """The rows of faces.parquet with, per row, the files it repeats and whether grey is odd.

    The bandwidth counts as whole where a face has detail for `largest` pixels, the largest side
    that is trained on, however large it is itself.
    """
    sides = photographs[["right", "bottom"]].to_numpy() - photographs[["left", "top"]].to_numpy()
    detail = photographs["bandwidth"] * sides.min(axis=1)
    grey = photographs["grey"].astype(bool)
    odd_below = limits.odd_grey_share
    return photographs.assign(
        bandwidth=photographs["bandwidth"].where(detail < largest, 1.0),
        duplicate_of=_duplicates(photographs, limits.max_duplicate_bits),
        odd_grey=grey & (odd_below is not None and grey.mean() < odd_below),
    )


def parameters(limits: Photographs) -> dict[str, Any]:
    """The values of the suite's parameters; None: not asked."""
    given: dict[str, Any] = {name: getattr(limits, name) for name in _LIMITS}
    for name, share in limits:
        if name.endswith("_share"):
            given[f"all_but_{name}"] = None if share is None else 1 - share
    given["upside_down"] = _asked([False], limits.max_upside_down_share)
    given["no_duplicate"] = _asked([""], limits.max_duplicate_bits)
    given["odd_grey"] = _asked([False], limits.odd_grey_share)
    return given


def _asked(values: list[Any], limit: float | None) -> list[Any] | None:
    return None if limit is None else values


def _duplicates(photographs: pd.DataFrame, bits: int | None) -> list[str]:
    """Per row the files of the faces that are one picture with it, comma-separated."""
    twins: defaultdict[int, list[str]] = defaultdict(list)
    if bits is not None:
        hashes = unpacked(photographs["phash"]), unpacked(photographs["phash_mirrored"])
        files = photographs["file"].tolist()
        for first, second, _ in near_pairs(*hashes, bits):
            twins[first].append(files[second])
            twins[second].append(files[first])
    return [", ".join(sorted(twins[row])) for row in range(len(photographs))]
