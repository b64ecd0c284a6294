"""Photographs and videos, file by file: which there are, where each goes, what became of it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparnet import files, images
from sparnet.data.parallel import ordered_map
from sparnet.errors import UserError
from sparnet.inference import photograph, planning, video
from sparnet.inference.photograph import Photograph
from sparnet.inference.pictures import stack
from sparnet.inference.planning import Outcome, Task
from sparnet.inference.restorer import NoFaceFound, Restoration, Restorer
from sparnet.progress import progress


@dataclass(frozen=True)
class Wishes:
    """How photographs are to be restored; see `Restorer.__call__` and `photograph.read`, and for
    videos `video.restore`.

    faces_only: write every restored face instead of the photograph. Without `paste` a sheet is
    written: what the network got and gave, a row a face. overwrite: files may be replaced.
    """

    weights: Path
    aligned: bool = False
    upscale: int = 1
    min_confidence: float = 0.0
    match_colour: bool = False
    small_faces: bool = False
    turned_faces: bool = False
    faces_only: bool = False
    paste: bool = True
    keep_profile: bool = False
    keep_metadata: bool = False
    crf: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """UserError for wishes that exclude each other."""
        if self.faces_only and not self.paste:
            raise UserError("--faces-only and --no-paste: choose one")
        if self.upscale != 1 and (self.aligned or self.faces_only or not self.paste):
            raise UserError("--upscale enlarges a photograph, not single faces")
        if self.aligned and self.min_confidence:
            raise UserError("--min-confidence: an --aligned picture is taken as the face it is")


def plan(sources: Sequence[Path], output: Path, wishes: Wishes) -> list[Task]:
    """What to do with files and folders, in a fixed order; see `planning.plan`.

    A format that cannot be written becomes PNG, or MP4. Raises UserError where a picture would
    replace a file without `overwrite`, or a picture or video cannot be restored as is wished.
    """
    tasks = planning.plan(
        sources,
        output,
        _named,
        readable=planning.PICTURES + planning.VIDEOS,
        to_file=not wishes.faces_only,
    )
    for task in tasks:
        is_video = planning.is_video(task.source)
        (video.container if is_video else planning.writable)(task.target.suffix)
    _refuse_for_videos(tasks, wishes)
    for task in tasks:
        if not wishes.faces_only:
            planning.refuse_existing(task.target, wishes.overwrite)
    return tasks


def enhance(tasks: Sequence[Task], wishes: Wishes, jobs: int = 1) -> Iterator[Outcome]:
    """Restore on `jobs` processes (1: in this one); an outcome a task, in their order.

    Videos take the whole machine each: only one process restores them. Raises UserError where more
    are wanted, or where a process is ended from outside.
    """
    if jobs > 1 and any(task.is_video for task in tasks):
        raise UserError("--jobs: videos are restored one after another; leave it out")
    function = functools.partial(enhance_one, wishes=wishes)
    yield from ordered_map(function, tasks, 0 if jobs == 1 else jobs)


def enhance_one(task: Task, wishes: Wishes) -> Outcome:
    """Restore one file and write the result. What goes wrong is an outcome, not an exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what it gets over by itself
            return _enhance_video(task, wishes) if task.is_video else _enhance(task, wishes)
    except NoFaceFound as error:
        return Outcome(f"{task.source}: {error}", good=False, faceless=True)
    except (images.UnreadableImage, video.UnreadableVideo) as error:
        return Outcome(str(error), good=False)
    except UserError as error:
        return Outcome(f"{task.source}: {error}", good=False)
    except MemoryError:
        return Outcome(f"{task.source}: not enough memory; fewer --jobs may help", good=False)
    except OSError as error:
        return Outcome(f"{task.target}: cannot be written ({error.strerror or error})", good=False)
    except Exception as error:  # whatever it is, the other pictures go on
        reason = " ".join(str(error).split())
        return Outcome(f"{task.source}: failed ({type(error).__name__}: {reason})", good=False)


def _enhance(task: Task, wishes: Wishes) -> Outcome:
    photo = photograph.read(
        task.source, keep_profile=wishes.keep_profile, keep_metadata=wishes.keep_metadata
    )
    restoration = _restorer(wishes.weights)(
        photo.pixels,
        wishes.aligned,
        wishes.upscale,
        min_confidence=wishes.min_confidence,
        match_colour=wishes.match_colour,
        small_faces=wishes.small_faces,
        turned_faces=wishes.turned_faces,
        paste=wishes.paste and not wishes.faces_only,
    )
    results = _results(photo, restoration, task.target, wishes)
    for path, result in results.items():
        planning.refuse_existing(path, wishes.overwrite)
        files.write_bytes(path, photograph.encode(result, path.suffix))
    left = f", {len(restoration.left)} left as it was" if restoration.left else ""
    first = next(iter(results))
    more = f" and {len(results) - 1} more" if len(results) > 1 else ""
    return Outcome(f"{first}{more}: {len(restoration.faces)} face(s) restored{left}")


def _enhance_video(task: Task, wishes: Wishes) -> Outcome:
    done = video.restore(
        task.source,
        task.target,
        _restorer(wishes.weights),
        upscale=wishes.upscale,
        min_confidence=wishes.min_confidence,
        match_colour=wishes.match_colour,
        small_faces=wishes.small_faces,
        turned_faces=wishes.turned_faces,
        crf=wishes.crf,
        keep_metadata=wishes.keep_metadata,
        watch=functools.partial(progress, label=task.source.name),
    )
    more = f", up to {done.faces} faces in one" if done.faces > 1 else ""
    return Outcome(f"{task.target}: {done.restored} of {done.frames} frames restored{more}")


def _results(
    photo: Photograph, restoration: Restoration, target: Path, wishes: Wishes
) -> dict[Path, Photograph]:
    if wishes.faces_only:
        plain = Photograph(photo.pixels, grey=photo.grey, profile=photo.profile)
        return {
            target.with_name(f"{target.stem}-{number}{target.suffix}"): plain.showing(face.sr)
            for number, face in enumerate(restoration.faces, start=1)
        }
    if not wishes.paste:
        rows = [images.strip([face.lr, face.sr]) for face in restoration.faces]
        return {target: Photograph(stack(rows), grey=photo.grey, profile=photo.profile)}
    return {target: photo.showing(restoration.image)}


@functools.lru_cache(maxsize=1)
def _restorer(weights: Path) -> Restorer:
    """Loaded once a process."""
    return Restorer.from_pretrained(weights)


def _named(inside: Path) -> Path:
    if not planning.is_video(inside):
        return planning.as_picture(inside)
    keeps = inside.suffix.lower() in video.CONTAINERS
    return inside if keeps else inside.with_suffix(".mp4")


def _refuse_for_videos(tasks: Sequence[Task], wishes: Wishes) -> None:
    videos = [task for task in tasks if task.is_video]
    if not videos and wishes.crf is not None:
        raise UserError("--crf: there is no video to write")
    only_pictures = {
        "--aligned": wishes.aligned,
        "--faces-only": wishes.faces_only,
        "--no-paste": not wishes.paste,
        "--keep-profile": wishes.keep_profile,
    }
    for task in videos:
        for option in (name for name, wished in only_pictures.items() if wished):
            raise UserError(f"{option}: is for photographs; {task.source} is a video")
        video.quality(task.target.suffix, wishes.crf)
