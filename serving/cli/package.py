"""`serving package`: the archive of a registered version, such as the champion."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.archive import MODELS
from sparnet.errors import UserError

if TYPE_CHECKING:
    from sparnet.tracking import Registry, Version

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


def _found(registry: Registry, model: str, version: str) -> Version:
    """The version with this number or alias; raises UserError where there is none."""
    if version.isdecimal():
        known = registry.versions(model)
        found = next((item for item in known if item.version == int(version)), None)
    else:
        found = registry.by_alias(model, version)
    if found is None:
        raise UserError(f"{model}: MLflow has no version {version}; `make ui` shows them")
    return found
