"""Which files of a source are taken, who is seen in them, and what they are called."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from sparnet.errors import UserError

Persons = dict[str, str | None]
"""Who is seen in each file, by its relative posix path; None where nobody knows."""


def persons_by_pattern(names: Sequence[str], pattern: str | None, key: str) -> Persons:
    """The group `person` of the pattern in each file's stem; `key` names the parameter."""
    if pattern is None:
        return dict.fromkeys(names)
    persons = {name: _person(name, pattern) for name in names}
    if not any(persons.values()):
        raise UserError(f"{key}: {pattern!r} names a person in no file")
    return persons


def limited(
    names: Sequence[str], persons: Persons, limit: int, seed: int, key: str
) -> Sequence[str]:
    """At most `limit` names: whole persons, in the order of their hash, that still fit."""
    if not limit or len(names) <= limit:
        return names
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[persons[name] or f"file:{picture_id(name)}"].append(name)
    chosen: set[str] = set()
    for person in sorted(groups, key=lambda person: _hash(f"{seed}\0limit\0{person}")):
        if len(chosen) + len(groups[person]) <= limit:
            chosen.update(groups[person])
    if not chosen:
        raise UserError(f"{key}: no person has only {limit} pictures; raise it")
    return [name for name in names if name in chosen]


def refuse_twins(names: Sequence[str], key: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{key}: two files are called {printable(name)}; rename one")
        seen.add(name)


def picture_id(name: str) -> str:
    """A name safe in any file system, made unique by the hash of the relative path."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(name).stem).strip("-")[:60]
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else digest


def picture_name(name: str, id: str) -> str:
    """The relative path; where that is not text, the id with the suffix."""
    return name if name == printable(name) else f"{id}{printable(PurePosixPath(name).suffix)}"


def printable(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "replace")


def _person(name: str, pattern: str) -> str | None:
    match = re.search(pattern, PurePosixPath(name).stem)
    return printable(match["person"]) if match and match["person"] else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
