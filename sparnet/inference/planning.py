"""Which pictures and videos are named, and the file that each becomes; no heavy import."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparnet.errors import UserError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""The suffixes of what counts as a picture in a folder."""

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""The suffixes of what counts as a video."""

WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The suffixes that a photograph can be written under."""


@dataclass(frozen=True)
class Task:
    """One picture or video, and the file that it becomes."""

    source: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """By the suffix of the result: a video is made of a video, and of nothing else."""
        return is_video(self.target)


@dataclass(frozen=True)
class Outcome:
    """What became of a picture or video: one line to tell, and whether that went well."""

    told: str
    good: bool = True
    faceless: bool = False


def named(patterns: Iterable[str]) -> list[Path]:
    """The files and folders that are named; a pattern of no file's own name stands for what it
    matches. Raises UserError where there is no such thing."""
    sources: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        root = Path(path.anchor)
        matched = root.glob(str(path.relative_to(root))) if glob.has_magic(pattern) else ()
        found = [path] if path.exists() else sorted(matched)
        if not found:
            raise UserError(f"{pattern}: no such file or folder")
        sources += found
    return list(dict.fromkeys(sources))


def plan(
    sources: Sequence[Path],
    output: Path,
    renamed: Callable[[Path], Path],
    *,
    readable: Sequence[str] = PICTURES,
    to_file: bool = True,
) -> list[Task]:
    """What becomes of files and folders, in a fixed order.

    One file goes to the file `output`, where that has a suffix and `to_file` allows it. Otherwise
    `output` is a folder: files keep their subfolders, and their names as `renamed` gives them. Of
    a folder the files with a `readable` suffix are taken. Raises UserError where there is nothing
    to do, two files would become one, or a file would replace itself.
    """
    single = to_file and len(sources) == 1 and not sources[0].is_dir()
    if single and not output.is_dir() and output.suffix:
        tasks = [Task(sources[0], output)]
    else:
        if output.exists() and not output.is_dir():
            raise UserError(f"{output}: is a file; name a folder for the results")
        found = _expanded(sources, output, readable)
        tasks = [Task(path, output / renamed(inside)) for path, inside in found]
    _refuse_clashes(tasks)
    return tasks


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raises UserError where a file would be replaced that nobody has given up."""
    if target.exists() and not overwrite:
        raise UserError(f"{target}: exists; --overwrite replaces it")


def writable(suffix: str) -> str:
    """Pillow's name of the format; UserError where pictures are not written under `suffix`."""
    kind = WRITABLE.get(suffix.lower())
    if kind is None:
        raise UserError(f"{suffix or 'no suffix'}: pictures are written as {', '.join(WRITABLE)}")
    return kind


def as_picture(path: Path) -> Path:
    """The name of the result: the same where it can be written, else a PNG's."""
    return path if path.suffix.lower() in WRITABLE else path.with_suffix(".png")


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def _expanded(
    sources: Iterable[Path], output: Path, readable: Sequence[str]
) -> Iterator[tuple[Path, Path]]:
    """Every file, and its path within the source that it came from."""
    for source in sources:
        if not source.is_dir():
            yield source, Path(source.name)
            continue
        found = sorted(path for path in source.rglob("*") if _is_wanted(path, output, readable))
        if not found:
            raise UserError(f"{source}: no pictures in this folder ({', '.join(readable)})")
        for path in found:
            yield path, path.relative_to(source)


def _is_wanted(path: Path, output: Path, readable: Sequence[str]) -> bool:
    """A readable suffix, not hidden, and not a result of an earlier run."""
    hidden = path.name.startswith(".")
    own = output.resolve() in path.resolve().parents
    return path.suffix.lower() in readable and not hidden and not own and path.is_file()


def _refuse_clashes(tasks: Sequence[Task]) -> None:
    sources = {task.source.resolve() for task in tasks}
    taken: dict[Path, Path] = {}
    for task in tasks:
        target = task.target.resolve()
        if target in sources:
            raise UserError(f"{task.target}: is a picture to restore; name another output")
        if target in taken:
            raise UserError(f"{task.source} and {taken[target]} would both become {task.target}")
        taken[target] = task.source
