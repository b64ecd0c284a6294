"""The command `serving`: package models, serve them, and change what is served without a gap."""

from __future__ import annotations

import typer

from serving.cli import changes, keys
from serving.cli.package import package
from serving.cli.up import up
from sparnet.errors import exits_on_user_error

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for command in (up, package, *changes.COMMANDS):
    app.command()(command)
app.add_typer(keys.app, name="keys")


@exits_on_user_error
def main() -> None:
    app()
