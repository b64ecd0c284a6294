"""`sparnet weights`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sparnet.errors import UserError

app = typer.Typer(help="Weights: import, export, look into.", no_args_is_help=True)


@app.command("import")
def import_weights(
    source: Annotated[Path, typer.Argument(help="a released .pth file")],
    target: Annotated[Path, typer.Argument(help=".safetensors to write")],
    network: Annotated[str, typer.Option(help="a named network, or its fields as JSON")],
) -> None:
    """Turn a file in the released form into ours."""
    import torch

    from sparnet.models import checkpoint

    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{source}: no such file") from None
    except Exception as error:  # damaged files raise nearly anything
        raise UserError(f"{source}: not a state dict ({type(error).__name__})") from None
    config: dict[str, object] | str = network
    if network.lstrip().startswith("{"):
        try:
            config = json.loads(network)
        except json.JSONDecodeError as error:
            raise UserError(f"--network: not JSON ({error})") from None
    checkpoint.save(checkpoint.from_official(state, config), target)
    print(f"{target}: written")


@app.command("export")
def export_weights(
    source: Annotated[Path, typer.Argument(help="our .safetensors")],
    target: Annotated[Path, typer.Argument(help=".pth to write, in the released form")],
) -> None:
    """Turn our file into the released form."""
    import torch

    from sparnet import files
    from sparnet.models import checkpoint

    state = checkpoint.to_official(checkpoint.load(source))
    with files.replacing(target) as temporary:
        torch.save(state, temporary)
    print(f"{target}: written")


@app.command("info")
def weights_info(source: Path) -> None:
    """Print what a weights file says of itself."""
    from sparnet.models import checkpoint

    print(json.dumps(checkpoint.info(source), indent=2, sort_keys=True, default=str))
