"""The command `sparnet`: restore pictures, look after weights and parameters, look at results."""

from __future__ import annotations

import typer

from sparnet.cli import params, remote, weights
from sparnet.cli.attention import attention
from sparnet.cli.enhance import enhance
from sparnet.cli.workplace import doctor, results, ui
from sparnet.errors import UserError, exits_on_user_error

__all__ = ["app", "main"]

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for command in (enhance, attention, results, ui, doctor):
    app.command()(command)
app.add_typer(remote.app, name="remote")
app.add_typer(weights.app, name="weights")
app.add_typer(params.app, name="params")


@exits_on_user_error
def main() -> None:
    try:
        app()
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed: of a plain `pip install` only `sparnet remote` works; "
            "this command needs the full environment, which `make run` builds in a checkout"
        ) from None
