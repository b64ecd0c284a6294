"""`serving package`: the archive of a registered version, such as the champion."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.archive import MODELS
from sparnet.errors import UserError

_FOLDER = Path("build/registered")


def package(
    model: Annotated[str, typer.Argument(metavar="NAME", help=" or ".join(MODELS))],
    version: Annotated[
        str, typer.Option(help="champion, challenger, or a number, as MLflow shows them")
    ] = "champion",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=f"file to write; else in {_FOLDER}")
    ] = None,
) -> None:
    """Make the archive of a version that MLflow keeps, to deploy it."""
    if model not in MODELS:
        raise UserError(f"{model}: there are {' and '.join(MODELS)}")
    from serving import packaging
    from sparnet import config
    from sparnet.stages.common import tracking_of
    from sparnet.tracking import Registry

    params = config.load()
    registry = Registry(tracking_of(params).uri)
    found = _found(registry, model, version)
    with tempfile.TemporaryDirectory() as folder:
        weights = registry.download_weights(found, Path(folder))
        path = output or _FOLDER / f"{model}.mar"
        built = packaging.build(model, weights, params.package, path)
    print(f"{path}: {model} version {built.version}, version {found.version} in MLflow")


def _found(registry: Any, model: str, version: str) -> Any:
    if version.isdecimal():
        found = [item for item in registry.versions(model) if item.version == int(version)]
    else:
        named = registry.by_alias(model, version)
        found = [named] if named else []
    if not found:
        raise UserError(f"{model}: MLflow has no version {version}; `make ui` shows them")
    return found[0]
