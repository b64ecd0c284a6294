"""`serving keys`: the keys that open the gateway; a running one follows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.gateway import keys
from sparnet.remote.local import DEFAULT_FOLDER

File = Annotated[Path, typer.Option("--keys", help="file of hashes")]

app = typer.Typer(help="Keys that open the gateway.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="whose it is")],
    scope: Annotated[
        list[str], typer.Option(help=f"{' or '.join(keys.SCOPES)}; repeat it for both")
    ],
    file: File = DEFAULT_FOLDER / keys.FILE,
) -> None:
    """Make a key and print it, once."""
    print(keys.add(file, name, [keys.scope(text) for text in scope]))


@app.command("list")
def list_(file: File = DEFAULT_FOLDER / keys.FILE) -> None:
    """Id, date, scopes and name of each key."""
    for key in keys.read(file):
        print(f"{key.id}  {key.created:%Y-%m-%d %H:%M}  {','.join(key.scopes):12} {key.name}")


@app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="see `list`")],
    file: File = DEFAULT_FOLDER / keys.FILE,
) -> None:
    """Let a key open nothing any more."""
    keys.revoke(file, identity)
