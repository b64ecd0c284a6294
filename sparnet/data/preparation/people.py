"""Who is seen: persons that the source names, and groups of faces that look like one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparnet.data.likeness import linked

_COMPARED_AT_ONCE = 4_000_000


def grouped(
    embeddings: NDArray[np.float32], names: Sequence[str | None], keys: Sequence[str], same: float
) -> list[str]:
    """A person for each of n faces; two alike, of which one is unnamed, are the same.

    embeddings: (n, 128), unit length, or nan where a face has none. names: the person that the
    source names; it holds, also against the embeddings. keys: n different strings. Unnamed faces
    whose cosine is `same` or more are linked, however far (single linkage), so that no two of
    different persons are that alike; a group takes the name of the named face most like one of
    its own, else the least of its keys. Time grows with n squared, memory with n.
    """
    unnamed = np.array([name is None for name in names], bool)
    loose, named = np.flatnonzero(unnamed), np.flatnonzero(~unnamed)
    links = [(i, j) for i, j, _ in _alike(embeddings[loose], embeddings[loose], same) if i < j]
    groups = linked(links, len(loose))
    persons = [name or "" for name in names]
    adopted = _adopted(_alike(embeddings[loose], embeddings[named], same), groups)
    least: dict[int, str] = {}
    for place, group in zip(loose, groups, strict=True):
        least[group] = min(least.get(group, keys[place]), keys[place])
    for place, group in zip(loose, groups, strict=True):
        known = adopted.get(int(group))
        name = None if known is None else names[int(named[known])]
        persons[place] = name or least[group]
    return persons


def _adopted(alike: list[tuple[int, int, float]], groups: NDArray[np.int32]) -> dict[int, int]:
    """Group -> the named face that is most like one of its faces."""
    best: dict[int, tuple[float, int]] = {}
    for face, other, cosine in alike:
        group = int(groups[face])
        best[group] = max(best.get(group, (-1.0, 0)), (cosine, -other))
    return {group: -other for group, (_, other) in best.items()}


def _alike(
    a: NDArray[np.float32], b: NDArray[np.float32], same: float
) -> list[tuple[int, int, float]]:
    """(i, j, cosine) of every pair from `a` and `b` whose cosine is `same` or more."""
    step = max(1, _COMPARED_AT_ONCE // max(1, len(b)))
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(a), step):
        cosines = a[start : start + step] @ b.T
        rows, columns = np.nonzero(cosines >= same)
        places = zip(rows + start, columns, cosines[rows, columns], strict=True)
        found += [(int(i), int(j), float(cosine)) for i, j, cosine in places]
    return found
