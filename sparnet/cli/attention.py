"""`sparnet attention`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparnet.cli.options import Model, Output, Overwrite, weights_of
from sparnet.errors import UserError
from sparnet.inference.planning import refuse_existing


def attention(
    face: Annotated[Path, typer.Argument(help="picture of one face, which fills it")],
    output: Output,
    model: Model = "sparnethd",
    overwrite: Overwrite = False,
) -> None:
    """Show where each attention unit of a network looks in one face."""
    from sparnet import files, images
    from sparnet.inference.pictures import attention_sheet
    from sparnet.models import checkpoint
    from sparnet.models.generator import Generator

    refuse_existing(output, overwrite)
    weights = weights_of(model)
    network = checkpoint.load(weights)
    if not isinstance(network, Generator):
        raise UserError(f"{weights}: holds a discriminator, which restores no faces")
    side = network.config.size
    sheet = attention_sheet(network, images.resize(images.read(face), (side, side)))
    files.write_bytes(output, images.encode_png(sheet))
    print(f"{output}: {len(list(network.units()))} attention maps of {network.config.name}")
