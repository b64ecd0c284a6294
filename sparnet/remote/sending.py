"""Files and folders, restored by a server: each is written as a whole when its answer comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from sparnet import files
from sparnet.errors import UserError
from sparnet.inference import planning
from sparnet.inference.planning import Outcome, Task
from sparnet.remote.answers import Answer

SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
"""The formats that can be asked for, and the suffix of their files."""

Ask = Callable[[bytes, str], Answer]
"""Has an encoded picture restored into one of this media type; raises UserError."""


def plan(
    sources: Sequence[Path], output: Path, form: str | None = None, overwrite: bool = False
) -> list[Task]:
    """What to do with files and folders, in a fixed order; see `planning.plan`.

    form: one of SUFFIXES for every result; without it they keep theirs where they can. Raises
    UserError for a video, for a single output of another form, or where a file would be replaced
    without `overwrite`.
    """

    def renamed(inside: Path) -> Path:
        result = planning.as_picture(inside)
        keeps = form is None or planning.writable(result.suffix) == form.upper()
        return result if keeps else inside.with_suffix(SUFFIXES[str(form)])

    tasks = planning.plan(sources, output, renamed)
    for task in tasks:
        if planning.is_video(task.source):
            raise UserError(f"{task.source}: is a video; `sparnet enhance` restores it")
        kind = planning.writable(task.target.suffix)
        if form is not None and kind != form.upper():
            raise UserError(f"--format {form}: {task.target} is named as {kind}; choose one")
        planning.refuse_existing(task.target, overwrite)
    return tasks


def send(tasks: Sequence[Task], ask: Ask, jobs: int, overwrite: bool = False) -> Iterator[Outcome]:
    """Have every picture restored, at most `jobs` of them at once; outcomes as they come.

    No more than `jobs` pictures are in memory: the next is read when one has been written. What
    goes wrong with one is its outcome, not an exception.
    """
    answers: queue.SimpleQueue[tuple[Task, Answer | Outcome]] = queue.SimpleQueue()
    waiting = iter(tasks)
    for task in islice(waiting, jobs):
        _start(task, ask, answers)
    for _ in tasks:
        task, answer = answers.get()
        outcome = answer if isinstance(answer, Outcome) else _write(task, answer, overwrite)
        del answer
        for following in islice(waiting, 1):
            _start(following, ask, answers)
        yield outcome


def _start(task: Task, ask: Ask, answers: queue.SimpleQueue[tuple[Task, Answer | Outcome]]) -> None:
    """In a thread that only asks and writes nothing, so that an interrupt need not wait for it."""
    thread = threading.Thread(target=lambda: answers.put((task, _asked(task, ask))), daemon=True)
    thread.start()


def _asked(task: Task, ask: Ask) -> Answer | Outcome:
    try:
        return ask(task.source.read_bytes(), _media_type(task.target))
    except UserError as error:
        return Outcome(f"{task.source}: {error}", good=False)
    except MemoryError:
        return Outcome(f"{task.source}: not enough memory; fewer --jobs may help", good=False)
    except OSError as error:
        return Outcome(f"{task.source}: cannot be read ({error.strerror or error})", good=False)
    except Exception as error:  # whatever it is, the other pictures go on
        reason = " ".join(str(error).split())
        return Outcome(f"{task.source}: failed ({type(error).__name__}: {reason})", good=False)


def _write(task: Task, answer: Answer, overwrite: bool) -> Outcome:
    if answer.media_type != _media_type(task.target):
        return Outcome(f"{task.source}: the answer is {answer.media_type}", good=False)
    try:
        planning.refuse_existing(task.target, overwrite)
        files.write_bytes(task.target, answer.picture)
    except UserError as error:
        return Outcome(f"{task.source}: {error}", good=False)
    except OSError as error:
        return Outcome(f"{task.target}: cannot be written ({error.strerror or error})", good=False)
    return Outcome(f"{task.target}: {answer.count} face(s) restored by {answer.model}")


def _media_type(target: Path) -> str:
    return f"image/{planning.writable(target.suffix).lower()}"
