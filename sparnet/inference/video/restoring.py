"""A video with its faces restored, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sparnet import images
from sparnet.errors import UserError
from sparnet.faces import alignment, framing
from sparnet.faces.alignment import Matrix
from sparnet.faces.following import FACE_BOX
from sparnet.images import Picture
from sparnet.inference import colour
from sparnet.inference.restorer import NoFaceFound, Restorer, check_numbers
from sparnet.inference.video import probing, reading, writing
from sparnet.inference.video.probing import Clip
from sparnet.inference.video.reading import Frame
from sparnet.inference.video.steadying import Placed, Steady, steadied
from sparnet.inference.video.tracking import Tracker

BATCH = 8
"""Faces that are restored at once, and frames that wait for as many, at most."""

Watch = Callable[[Iterable[Frame], int], Iterable[Frame]]


@dataclass(frozen=True)
class Summary:
    """What became of a video: frames in it, frames with a restored face, and most such faces in
    one frame."""

    frames: int
    restored: int
    faces: int


def restore(
    source: Path | str,
    target: Path | str,
    restorer: Restorer,
    *,
    upscale: int = 1,
    min_confidence: float = 0.0,
    match_colour: bool = False,
    small_faces: bool = False,
    turned_faces: bool = False,
    crf: int | None = None,
    keep_metadata: bool = False,
    watch: Watch | None = None,
) -> Summary:
    """Restore the faces of the video `source`, and write it to `target`.

    Faces are followed from frame to frame, and framed where the frames around tell that they are;
    frames without one stay as they are. upscale, min_confidence, match_colour, small_faces and
    turned_faces are those of `Restorer.__call__`. The suffix of `target` chooses the container, see
    `writing.CONTAINERS`; crf: the encoder's constant rate factor, lower is better and larger. All
    sounds are kept, and every frame is shown when it was. keep_metadata: title, date and place of
    the recording too. watch: is given the frames and about how many there are, and passes them on.

    `target` is replaced only once all is done; memory does not grow with the length. Raises
    UnreadableVideo, NoFaceFound (nothing is written then) and UserError; OSError where `target`
    cannot be written.
    """
    source, target = Path(source), Path(target)
    check_numbers(upscale, min_confidence)
    if target.exists() and target.samefile(source):
        raise UserError(f"{target}: is the video to restore; name another output")
    clip = probing.probe(source)
    _refuse_large(clip, upscale)
    finder, judging = restorer.finder, min_confidence > 0
    tracker = Tracker(finder, small_faces, turned_faces, judging=judging)
    painter = Painter(restorer, upscale, match_colour)
    count = restored = most = 0
    with ExitStack() as stack:
        writer = stack.enter_context(writing.writing(clip, target, crf, keep_metadata))
        read = stack.enter_context(closing(reading.frames(clip)))
        frames = watch(read, clip.frames) if watch else read
        looks = ((frame, tracker.look(frame.pixels)) for frame in frames)
        for frame, faces in painter.painted(steadied(looks, min_confidence)):
            writer.write(frame)
            count, restored, most = count + 1, restored + bool(faces), max(most, faces)
        if not restored:
            raise NoFaceFound(_none(count, min_confidence))
    return Summary(count, restored, most)


class Painter:
    """Restores the faces of frames, several at once, and puts them back."""

    def __init__(self, restorer: Restorer, upscale: int = 1, match_colour: bool = False) -> None:
        self._backend, self._frame = restorer.backend, restorer.frame
        self._upscale, self._match_colour = upscale, match_colour

    def painted(self, steady: Iterable[Steady[Frame]]) -> Iterator[tuple[Frame, int]]:
        """Each frame with its faces restored, `upscale` times as large, and how many they are."""
        waiting: list[Steady[Frame]] = []
        for item in steady:
            waiting.append(item)
            if len(waiting) >= BATCH or sum(len(each.faces) for each in waiting) >= BATCH:
                yield from self._together(waiting)
                waiting = []
        yield from self._together(waiting)

    def _together(self, waiting: list[Steady[Frame]]) -> Iterator[tuple[Frame, int]]:
        matrices = [[self._matrix(face) for face in item.faces] for item in waiting]
        size = self._backend.size
        framed = [
            [alignment.crop(item.frame.pixels, matrix, size) for matrix in those]
            for item, those in zip(waiting, matrices, strict=True)
        ]
        flat = [face for faces in framed for face in faces]
        restored = iter(self._backend(np.stack(flat)) if flat else ())
        for item, those, faces in zip(waiting, matrices, framed, strict=True):
            changed = [
                self._changed(before, next(restored), face.opacity)
                for before, face in zip(faces, item.faces, strict=True)
            ]
            pixels = alignment.paste_back(item.frame.pixels, faces, changed, those, self._upscale)
            yield replace(item.frame, pixels=pixels), len(faces)

    def _matrix(self, face: Placed) -> Matrix:
        size = self._backend.size
        if self._frame.kind == "ffhq":
            return framing.ffhq(face.points, size)
        square = alignment.square(framing.raised(FACE_BOX), size, self._frame.margin)
        upright = alignment.similarity(face.points, alignment.FFHQ_TEMPLATE)
        return alignment.compose(square, upright)

    def _changed(self, before: Picture, after: Picture, opacity: float) -> Picture:
        if self._match_colour:
            after = colour.matched(after, before)
        if opacity == 1:
            return after
        mixed = before + opacity * (after.astype(np.float32) - before)
        return np.rint(mixed).astype(np.uint8)


def _refuse_large(clip: Clip, upscale: int) -> None:
    width, height = clip.width * upscale, clip.height * upscale
    if max(width, height) > writing.MOST_SIDE or width * height > images.MAX_PIXELS:
        raise UserError(f"{clip.path}: {width}x{height} is too large for a video")


def _none(frames: int, least: float) -> str:
    trusted = f" with a confidence of {least:g}" if least else ""
    return f"no face{trusted} was found in the {frames} frames of the video"
