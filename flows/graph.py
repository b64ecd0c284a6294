"""The stages and their order, read from DVC: `dvc.yaml` is the only graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import yaml

from flows import runner
from sparnet.errors import UserError

DVC = (sys.executable, "-m", "dvc")
_EDGE = re.compile(r'^"(?P<from>[^"]+)" -> "(?P<to>[^"]+)";$')
_NODE = re.compile(r'^"(?P<name>[^"]+)";$')


@dataclass(frozen=True)
class Stage:
    """A stage with the hints of its `meta`: retries, seconds between them, tags.

    refreshes: it brings in what lies outside of the project, where DVC sees no change.
    """

    name: str
    after: tuple[str, ...] = ()
    description: str = ""
    retries: int = 0
    retry_delay: float = 10.0
    tags: tuple[str, ...] = ()
    refreshes: bool = False


def read(folder: Path, target: str | None = None) -> list[Stage]:
    """The stages of `folder` (those that `target` needs, and itself), each after what it needs.

    Stages that do not depend on each other come as in dvc.yaml. Raises UserError with DVC's words.
    """
    dot = _dvc(folder, "dag", "--dot", *([target] if target else []))
    names, edges = parse(dot.splitlines())
    described = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    place = {name: index for index, name in enumerate(described)}
    ordered = _sorted(names, edges, place)
    return [_stage(name, edges[name], described.get(_base(name)) or {}) for name in ordered]


def parse(lines: Iterable[str]) -> tuple[set[str], dict[str, set[str]]]:
    """Names, and for each the names it needs, of the graph that `dvc dag --dot` prints."""
    names: set[str] = set()
    edges: list[tuple[str, str]] = []
    for line in lines:
        if edge := _EDGE.match(line.strip()):
            edges.append((edge["from"], edge["to"]))
        elif node := _NODE.match(line.strip()):
            names.add(node["name"])
    names.update(name for edge in edges for name in edge)
    return names, {name: {before for before, after in edges if after == name} for name in names}


def _sorted(names: set[str], needs: Mapping[str, set[str]], place: Mapping[str, int]) -> list[str]:
    """Topological order; among stages that are free to run, the one first in dvc.yaml."""

    def entry(name: str) -> tuple[int, str]:
        return place.get(_base(name), len(place)), name

    left = {name: set(needs[name]) for name in names}
    free = [entry(name) for name in names if not left[name]]
    heapify(free)
    ordered = []
    while free:
        _, name = heappop(free)
        ordered.append(name)
        for other in names:
            if name in left[other]:
                left[other].remove(name)
                if not left[other]:
                    heappush(free, entry(other))
    return ordered


def _stage(name: str, after: set[str], described: Mapping[str, Any]) -> Stage:
    meta = described.get("meta") or {}
    return Stage(
        name=name,
        after=tuple(sorted(after)),
        description=described.get("desc", ""),
        retries=int(meta.get("retries", 0)),
        retry_delay=float(meta.get("retry_delay", Stage.retry_delay)),
        tags=tuple(meta.get("tags", ())),
        refreshes=bool(meta.get("refreshes", False)),
    )


def _base(name: str) -> str:
    """The name in dvc.yaml of a stage made by `foreach` or `matrix`."""
    return name.partition("@")[0]


def _dvc(folder: Path, *arguments: str) -> str:
    lines: list[str] = []
    if runner.run([*DVC, *arguments], lines.append, folder):
        raise UserError(f"dvc {' '.join(arguments)}: {' '.join(lines[:3])}")
    return "\n".join(lines)
