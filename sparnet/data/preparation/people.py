"""Who is seen: persons that the source names, and groups of faces that look like one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

TWINS = 0.96
"""Cosine from which on two faces are one person's whatever their groups: of LFW's 10^6 pairs of
different people one is that much alike."""

_COMPARED_AT_ONCE = 4_000_000
_NEVER = np.float32(-2)


def grouped(
    embeddings: Vectors, names: Sequence[str | None], keys: Sequence[str], same: float
) -> list[str]:
    """A person for each of n faces: the source's name, else the least key of the face's group.

    embeddings: (n, 128), unit length, or nan where a face has none, which then stays alone. names:
    the person that the source names; it holds, also against the embeddings. keys: n different
    strings. Groups are joined, the most alike first, while the mean cosine between the faces of
    two is `same` or more (average linkage, UPGMA of Sokal and Michener, 1958), unless both are
    named; so a chain of look-alikes joins nobody. At last groups with TWINS are joined: no two
    faces of different persons are that alike, but where the source says so. Time grows with n
    squared, memory with n.
    """
    order = sorted(range(len(keys)), key=lambda place: keys[place])
    seen = [place for place in order if not np.isnan(embeddings[place]).any()]
    persons = [name or key for name, key in zip(names, keys, strict=True)]
    groups = _Groups(embeddings[seen], [names[place] for place in seen])
    while groups.join(same):
        pass
    groups.join_twins(embeddings[seen])
    for members, name in groups.found():
        places = [seen[member] for member in members]
        person = name or min(keys[place] for place in places)
        for place in places:
            persons[place] = person
    return persons


class _Groups:
    """Groups of faces by their mean embedding: the mean cosine of two groups is their product."""

    def __init__(self, embeddings: Vectors, names: Sequence[str | None]) -> None:
        """At first the faces of one name are a group, and every other face is."""
        numbers: dict[str, int] = {}
        known = [numbers.setdefault(name, len(numbers)) for name in names if name]
        loose = iter(range(len(numbers), len(numbers) + len(names) - len(known)))
        named = iter(known)
        self._labels = np.array([next(named) if name else next(loose) for name in names], np.int64)
        self._names: list[str | None] = [*numbers, *(None,) * (len(names) - len(known))]
        self._sizes = np.bincount(self._labels, minlength=len(self._names)).astype(np.float64)
        self._sums = np.zeros((len(self._names), embeddings.shape[1]))
        np.add.at(self._sums, self._labels, embeddings)

    def join(self, same: float) -> bool:
        """Join all groups that are each other's nearest and alike enough; whether there were any.

        Reciprocal nearest neighbours may be joined in any order (Murtagh, Comp. J. 1983).
        """
        nearest, cosine = self._nearest()
        places = np.arange(len(nearest))
        mutual = (nearest[nearest] == places) & (cosine >= same) & (places < nearest)
        first, second = places[mutual], nearest[mutual]
        self._sums[first] += self._sums[second]
        self._sizes[first] += self._sizes[second]
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            self._names[one] = self._names[one] or self._names[other]
        self._drop(first, second)
        return bool(len(first))

    def join_twins(self, embeddings: Vectors) -> None:
        """Join the groups of faces that are TWINS, the most alike first, unless both are named."""
        joined = list(range(len(self._names)))
        for first, second in _alike(embeddings, TWINS):
            one, other = (_root(joined, int(self._labels[face])) for face in (first, second))
            if one != other and not (self._names[one] and self._names[other]):
                joined[other] = one
                self._names[one] = self._names[one] or self._names[other]
        self._labels = np.array([_root(joined, int(label)) for label in self._labels], np.int64)

    def found(self) -> list[tuple[list[int], str | None]]:
        """Each group's faces, by their place, and its name."""
        members: list[list[int]] = [[] for _ in self._names]
        for place, label in enumerate(self._labels.tolist()):
            members[label].append(place)
        return [(each, name) for each, name in zip(members, self._names, strict=True) if each]

    def _nearest(self) -> tuple[NDArray[np.int64], Vectors]:
        """Of each group: the group most like it, and their mean cosine."""
        means = (self._sums / self._sizes[:, None]).astype(np.float32)
        named = np.array([name is not None for name in self._names], bool)
        nearest = np.zeros(len(means), np.int64)
        cosine = np.full(len(means), _NEVER, np.float32)
        step = max(1, _COMPARED_AT_ONCE // max(1, len(means)))
        for start in range(0, len(means), step):
            rows = slice(start, start + step)
            alike = means[rows] @ means.T
            alike[named[rows][:, None] & named] = _NEVER
            within = np.arange(len(alike))
            alike[within, within + start] = _NEVER
            nearest[rows] = alike.argmax(axis=1)
            cosine[rows] = alike[within, nearest[rows]]
        return nearest, cosine

    def _drop(self, kept: NDArray[np.int64], dropped: NDArray[np.int64]) -> None:
        """Take the groups `dropped`, which were joined to those `kept`, out of the count."""
        target = np.arange(len(self._names))
        target[dropped] = kept
        left = np.ones(len(self._names), bool)
        left[dropped] = False
        renumbered = np.cumsum(left) - 1
        self._labels = renumbered[target[self._labels]]
        self._names = [name for name, stays in zip(self._names, left, strict=True) if stays]
        self._sums, self._sizes = self._sums[left], self._sizes[left]


def _alike(embeddings: Vectors, limit: float) -> list[tuple[int, int]]:
    """The pairs of faces whose cosine is `limit` or more, the most alike first."""
    step = max(1, _COMPARED_AT_ONCE // max(1, len(embeddings)))
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(embeddings), step):
        cosines = embeddings[start : start + step] @ embeddings.T
        first, second = np.nonzero(cosines >= limit)
        later = second > first + start
        first, second = first[later], second[later]
        pairs = zip(cosines[first, second].tolist(), first + start, second, strict=True)
        found += [(-cosine, int(one), int(other)) for cosine, one, other in pairs]
    return [(one, other) for _, one, other in sorted(found)]


def _root(joined: list[int], group: int) -> int:
    """The group that `group` was joined to, at last."""
    while joined[group] != group:
        joined[group] = joined[joined[group]]
        group = joined[group]
    return group
