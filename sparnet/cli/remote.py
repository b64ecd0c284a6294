"""`sparnet remote`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sparnet.cli.options import Overwrite
from sparnet.cli.outcomes import ended_like_ctrl_c, report
from sparnet.errors import UserError
from sparnet.inference import planning

if TYPE_CHECKING:
    from sparnet.remote import Client

KEY_VARIABLE = "SPARNET_KEY"

app = typer.Typer(
    help=f"Have a server restore pictures. Its key comes from a file, or from {KEY_VARIABLE}.",
    no_args_is_help=True,
)

Url = Annotated[
    str | None, typer.Option(envvar="SPARNET_URL", help="of the server; else one on this machine")
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="file with the key ID.SECRET")]
Session = Annotated[
    Path | None, typer.Option(help="folder of a server on this machine; else .state/serving")
]


@app.command()
def enhance(
    pictures: Annotated[
        list[str], typer.Argument(help="photographs, folders of them, or patterns like 'a/*.jpg'")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="picture to write, or a folder")],
    url: Url = None,
    key_file: KeyFile = None,
    session: Session = None,
    model: Annotated[str | None, typer.Option(help="its name; else the server's choice")] = None,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="each whole picture is one face")
    ] = False,
    upscale: Annotated[int, typer.Option(min=1, max=4, help="enlarge photographs")] = 1,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="leave faces below it as they are")
    ] = 0.0,
    match_colour: Annotated[
        bool, typer.Option("--match-colour", help="faces keep the photograph's colours")
    ] = False,
    format: Annotated[
        Literal["png", "webp", "jpeg"] | None, typer.Option(help="of the results; else as before")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="pictures on their way at once")] = 2,
    overwrite: Overwrite = False,
) -> None:
    """Have a server restore the faces of photographs."""
    from sparnet.remote import Answer, sending

    tasks = sending.plan(planning.named(pictures), output, format, overwrite)

    def ask(picture: bytes, media_type: str) -> Answer:
        return client.enhance(
            picture,
            model=model,
            aligned=aligned,
            upscale=upscale,
            min_confidence=min_confidence,
            match_colour=match_colour,
            media_type=media_type,
        )

    with ended_like_ctrl_c(), _client(url, key_file, session) as client:
        client.models()  # a wrong URL or key is told once, not for each picture
        failed = report(sending.send(tasks, ask, jobs, overwrite), tasks)
    raise typer.Exit(1 if failed else 0)


@app.command()
def models(url: Url = None, key_file: KeyFile = None, session: Session = None) -> None:
    """List the models that a server has."""
    with _client(url, key_file, session) as client:
        for model in client.models():
            side = f"faces of {model.side} pixels" if model.side else ""
            told = ", ".join(filter(None, [side, "the default" if model.default else ""]))
            print(f"{model.name} {model.version}" + (f": {told}" if told else ""))


def _client(url: str | None, key_file: Path | None, session: Path | None) -> Client:
    """The key of a server on this machine is sent to that server alone."""
    from sparnet.remote import DEFAULT_FOLDER, Client, find, local

    key = local.read_key(key_file) if key_file else os.environ.get(KEY_VARIABLE)
    if url is None:
        found = find(session or DEFAULT_FOLDER)
        return Client(found.url, key or found.key)
    if not key:
        raise UserError(f"{url}: needs a key; name its file with --key-file, or set {KEY_VARIABLE}")
    return Client(url, key.strip())
