"""`sparnet enhance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparnet.cli.options import Model, Overwrite, weights_of
from sparnet.cli.outcomes import ended_like_ctrl_c, report
from sparnet.inference import planning


def enhance(
    pictures: Annotated[
        list[str],
        typer.Argument(help="photographs, videos, folders of them, or patterns like 'a/*.jpg'"),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="picture or video to write, or a folder")
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
    turned_faces: Annotated[
        bool, typer.Option("--turned-faces", help="also lying faces beside upright ones, slower")
    ] = False,
    keep_profile: Annotated[
        bool, typer.Option("--keep-profile", help="keep the colour profile; else sRGB")
    ] = False,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata/--strip-metadata", help="EXIF with GPS, and XMP")
    ] = False,
    crf: Annotated[
        int | None, typer.Option(help="of a video: lower is better; 18, in WebM 24")
    ] = None,
    allow_no_face: Annotated[
        bool, typer.Option("--allow-no-face", help="a picture without a face is no failure")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Restore the faces of photographs and videos."""
    from sparnet.inference import enhancing
    from sparnet.models import checkpoint

    wishes = enhancing.Wishes(
        weights=weights_of(model),
        aligned=aligned,
        upscale=upscale,
        min_confidence=min_confidence,
        match_colour=match_colour,
        small_faces=small_faces,
        turned_faces=turned_faces,
        faces_only=faces_only,
        paste=not no_paste,
        keep_profile=keep_profile,
        keep_metadata=keep_metadata,
        crf=crf,
        overwrite=overwrite,
    )
    tasks = enhancing.plan(planning.named(pictures), output, wishes)
    checkpoint.info(wishes.weights)
    with ended_like_ctrl_c():
        failed = report(enhancing.enhance(tasks, wishes, jobs), tasks, allow_no_face)
    raise typer.Exit(1 if failed else 0)
