"""The command `sparnet`: restore pictures, look after weights and parameters, look at results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparnet.errors import UserError, exits_on_user_error

if TYPE_CHECKING:
    from sparnet.inference.enhancing import Outcome

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
weights_app = typer.Typer(help="Weights: import, export, look into.", no_args_is_help=True)
params_app = typer.Typer(help="The parameters in params.yaml.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
app.add_typer(params_app, name="params")

PARAMS = Path("params.yaml")

Output = Annotated[Path, typer.Option("--output", "-o", help="PNG to write")]
Model = Annotated[str, typer.Option(help="sparnet, sparnethd, or a .safetensors file")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the output")]


@app.command()
def enhance(
    pictures: Annotated[
        list[str],
        typer.Argument(help="photographs, folders of them, or patterns like 'a/*.jpg'"),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="PNG, JPEG or WebP to write, or a folder")
    ],
    model: Model = "sparnethd",
    aligned: Annotated[
        bool, typer.Option("--aligned", help="each whole picture is one face")
    ] = False,
    upscale: Annotated[int, typer.Option(help="enlarge photographs 1 to 4 times")] = 1,
    faces_only: Annotated[
        bool, typer.Option("--faces-only", help="write each restored face, not the photograph")
    ] = False,
    no_paste: Annotated[
        bool, typer.Option("--no-paste", help="write a sheet: each face before and after")
    ] = False,
    min_confidence: Annotated[
        float, typer.Option(help="leave faces below it as they are, 0 to 1")
    ] = 0.0,
    match_colour: Annotated[
        bool, typer.Option("--match-colour", help="faces keep the photograph's colours")
    ] = False,
    small_faces: Annotated[
        bool, typer.Option("--small-faces", help="look closer at large photographs, slower")
    ] = False,
    keep_profile: Annotated[
        bool, typer.Option("--keep-profile", help="keep the colour profile; else sRGB")
    ] = False,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata/--strip-metadata", help="EXIF with GPS, and XMP")
    ] = False,
    allow_no_face: Annotated[
        bool, typer.Option("--allow-no-face", help="a picture without a face is no failure")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Restore the faces of photographs."""
    from sparnet.inference import enhancing
    from sparnet.models import checkpoint

    wishes = enhancing.Wishes(
        weights=_weights_of(model),
        aligned=aligned,
        upscale=upscale,
        min_confidence=min_confidence,
        match_colour=match_colour,
        small_faces=small_faces,
        faces_only=faces_only,
        paste=not no_paste,
        keep_profile=keep_profile,
        keep_metadata=keep_metadata,
        overwrite=overwrite,
    )
    tasks = enhancing.plan(enhancing.named(pictures), output, wishes)
    checkpoint.info(wishes.weights)
    failed = _report(enhancing.enhance(tasks, wishes, jobs), len(tasks), allow_no_face)
    raise typer.Exit(1 if failed else 0)


@app.command()
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

    _refuse_existing(output, overwrite)
    weights = _weights_of(model)
    network = checkpoint.load(weights)
    if not isinstance(network, Generator):
        raise UserError(f"{weights}: holds a discriminator, which restores no faces")
    side = network.config.size
    sheet = attention_sheet(network, images.resize(images.read(face), (side, side)))
    files.write_bytes(output, images.encode_png(sheet))
    print(f"{output}: {len(list(network.units()))} attention maps of {network.config.name}")


@weights_app.command("import")
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


@weights_app.command("export")
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


@weights_app.command("info")
def weights_info(source: Path) -> None:
    """Print what a weights file says of itself."""
    from sparnet.models import checkpoint

    print(json.dumps(checkpoint.info(source), indent=2, sort_keys=True, default=str))


@params_app.command("show")
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


@params_app.command("use")
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


@app.command()
def results() -> None:
    """Print the table of the last evaluation and where everything is."""
    from sparnet.evaluation.report import markdown_table

    path = Path("reports/metrics.json")
    try:
        metrics = json.loads(path.read_text())
    except OSError:
        raise UserError(f"{path}: no evaluation yet; `make run` makes one") from None
    print()
    print(markdown_table(metrics))
    print()
    print(f"report:     {Path('reports/index.html').resolve()}")
    print("runs:       `make ui` opens the MLflow pages")
    print("serve:      `make serve` starts TorchServe with both models")


@app.command()
def ui(port: Annotated[int, typer.Option(help="on loopback")] = 5000) -> None:
    """Open the MLflow pages on loopback, until Ctrl-C."""
    from sparnet import config, tracking

    settings = config.load(PARAMS).tracking
    uri = os.environ.get("MLFLOW_TRACKING_URI") or settings.uri
    page = tracking.runs_page(uri, settings.experiment)
    if uri.startswith(("http://", "https://")):
        print(f"MLflow runs elsewhere: {uri.rstrip('/')}{page}")
        return
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    print(f"MLflow: http://127.0.0.1:{port}{page} (Ctrl-C stops it)", flush=True)
    try:
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def doctor() -> None:
    """Check this machine: Python, packages, device, Java, disk, parameters."""
    from sparnet import diagnosis

    findings = diagnosis.examine(PARAMS)
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'} {finding.what}: {finding.detail}")
    raise typer.Exit(0 if all(finding.good for finding in findings) else 1)


def _report(outcomes: Iterator[Outcome], total: int, allow_no_face: bool) -> int:
    """Tell what became of each picture, and return how many failed; the only one raises."""
    from tqdm import tqdm

    from sparnet.progress import progress

    failed = faceless = 0
    for outcome in progress(outcomes, total, "enhance") if total > 1 else outcomes:
        excused = outcome.faceless and allow_no_face
        if total == 1 and not (outcome.good or excused):
            raise UserError(outcome.told)
        failed += not (outcome.good or excused)
        faceless += excused
        label = "" if outcome.good else "no result: " if excused else "error: "
        tqdm.write(label + outcome.told, file=sys.stdout if outcome.good else sys.stderr)
    if total > 1:
        told = f"{total - failed - faceless} of {total} pictures restored, {failed} failed"
        print(told + (f", {faceless} without a face" if faceless else ""))
    return failed


def _refuse_existing(output: Path, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise UserError(f"{output}: exists; --overwrite replaces it")


def _weights_of(model: str) -> Path:
    is_file = model.endswith(".safetensors")
    path = Path(model) if is_file else Path("models") / model / "best.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: no such weights; `make run` trains them")
    return path


@exits_on_user_error
def main() -> None:
    app()


if __name__ == "__main__":
    sys.exit(main())
