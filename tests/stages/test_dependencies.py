"""A change of code must reach DVC: what a stage imports is among the deps that dvc.yaml names."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from sparnet.config import Params
from sparnet.config.base import Block

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

HARMLESS = {
    "sparnet/__init__.py": "imports nothing until it is asked for a Restorer",
    "sparnet/config": "what a stage needs of it is asked for below",
    "sparnet/data/cluster.py": "who does the work",
    "sparnet/data/environment.py": "whether a cluster's workers have the same packages",
    "sparnet/data/parallel.py": "who does the work",
    "sparnet/errors.py": "words for people",
    "sparnet/files.py": "how files are replaced, not what is in them",
    "sparnet/progress.py": "what is shown meanwhile",
    "sparnet/stages/__init__.py": "how threads wait for each other",
    "sparnet/stages/common.py": "reads the parameters, which DVC compares itself",
    "sparnet/tracking": "MLflow holds no outs",
}
"""File or folder -> why it changes no out of any stage."""

PICTURES = "pictures for MLflow"
DRIFT = "distances for MLflow, the page's name, and the profile, an out of validate"
HARMLESS_FOR = {
    "train_sparnet": {"sparnet/inference/pictures.py": PICTURES},
    "train_sparnethd": {"sparnet/inference/pictures.py": PICTURES},
    "evaluate": {
        "sparnet/data/validation": DRIFT,
        "sparnet/data/likeness.py": DRIFT,
        "sparnet/stages/drift.py": DRIFT,
    },
}


def file_of(module: str) -> Path | None:
    """The project's file of a module; None for what others wrote, and for empty packages."""
    place = ROOT.joinpath(*module.split("."))
    found = next(filter(Path.is_file, (place.with_suffix(".py"), place / "__init__.py")), None)
    return found if found and found.stat().st_size else None


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those for type checkers, and a package's imports on first use."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.FunctionDef) and child.name == "__getattr__":
            continue
        yield child
        yield from statements(child)


def imported(file: Path) -> Iterator[str]:
    """The modules that the file imports, anywhere in it, and what may be one."""
    for node in statements(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(stage: str) -> set[str]:
    """The project's files that the stage's command may run, below the root."""
    found: set[Path] = set()
    waiting = {file_of(STAGES[stage]["cmd"].split()[-1])}
    while waiting:
        file = waiting.pop()
        if file is not None and file not in found:
            found.add(file)
            waiting |= {file_of(module) for module in imported(file)}
    return {str(file.relative_to(ROOT)) for file in found}


def covered(file: str, places: Iterable[str]) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in places)


def blocks(annotation: Any) -> set[type[Block]]:
    """The blocks of parameters that a value of this type may hold."""
    found = set().union(*map(blocks, get_args(annotation)))
    if inspect.isclass(annotation) and issubclass(annotation, Block):
        found |= {annotation}
        found |= set().union(*(blocks(one.annotation) for one in annotation.model_fields.values()))
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_is_among_its_deps(stage: str) -> None:
    places = [*STAGES[stage]["deps"], *HARMLESS, *HARMLESS_FOR.get(stage, {})]
    assert [file for file in sorted(reached(stage)) if not covered(file, places)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_defaults_of_a_stages_parameters_are_among_its_deps(stage: str) -> None:
    """A part like `prepare.sizes.sparnet` reaches the stage through the outs of `prepare` too."""
    fields = {one.alias or name: one.annotation for name, one in Params.model_fields.items()}
    named = set().union(*(blocks(fields.get(name)) for name in STAGES[stage]["params"]))
    modules = {one.__module__ for block in named for one in block.__mro__ if issubclass(one, Block)}
    files = {str(file.relative_to(ROOT)) for file in filter(None, map(file_of, modules))}
    assert files
    assert files - set(STAGES[stage]["deps"]) == set()


def test_every_exception_is_one_that_a_stage_needs() -> None:
    missed: dict[str, list[str]] = {
        stage: [file for file in reached(stage) if not covered(file, STAGES[stage]["deps"])]
        for stage in STAGES
    }
    everywhere = [file for files in missed.values() for file in files]
    assert [one for one in HARMLESS if not any(covered(file, [one]) for file in everywhere)] == []
    for stage, exceptions in HARMLESS_FOR.items():
        for one in exceptions:
            assert any(covered(file, [one]) for file in missed[stage]), (stage, one)


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_on_code_is_there(stage: str) -> None:
    code = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("sparnet/", "serving/"))]
    assert [dep for dep in code if not (ROOT / dep).exists()] == []
