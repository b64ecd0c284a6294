"""What several commands take, and how it is understood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparnet.errors import UserError

PARAMS = Path("params.yaml")

Output = Annotated[Path, typer.Option("--output", "-o", help="PNG to write")]
Model = Annotated[str, typer.Option(help="sparnet, sparnethd, or a .safetensors file")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the output")]


def weights_of(model: str) -> Path:
    is_file = model.endswith(".safetensors")
    path = Path(model) if is_file else Path("models") / model / "best.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: no such weights; `make run` trains them")
    return path
