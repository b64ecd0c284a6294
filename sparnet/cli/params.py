"""`sparnet params`."""

from __future__ import annotations

from typing import Annotated

import typer

from sparnet.cli.options import PARAMS
from sparnet.errors import UserError

app = typer.Typer(help="The parameters in params.yaml.", no_args_is_help=True)


@app.command("show")
def show_params(
    profile: Annotated[str | None, typer.Argument(help="a profile; else params.yaml")] = None,
) -> None:
    """Print the parameters with what each means."""
    import yaml

    from sparnet import config, profiles

    if profile:
        params = config.parse(yaml.safe_load(profiles.text(profile)), profile)
    else:
        params = config.load(PARAMS)
    print(profiles.documented(params))


@app.command("use")
def use_params(
    profile: Annotated[str, typer.Argument(help="quick, paper or light")],
    force: Annotated[bool, typer.Option(help="replace a changed params.yaml")] = False,
) -> None:
    """Put a profile in the place of params.yaml."""
    from sparnet import files, profiles

    wanted = profiles.text(profile)
    known = {profiles.text(name) for name in profiles.names()}
    if PARAMS.exists() and PARAMS.read_text() not in known and not force:
        raise UserError(f"{PARAMS} has changes of yours; --force replaces it")
    files.write_text(PARAMS, wanted)
    print(f"{PARAMS} is now the profile {profile!r}; `dvc repro` or `make run` uses it")
