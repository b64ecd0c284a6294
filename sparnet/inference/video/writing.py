"""Frames into a video file, with the sound of the video that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparnet import files
from sparnet.errors import UserError
from sparnet.images import Picture
from sparnet.inference.video import ffmpeg, matroska
from sparnet.inference.video.ffmpeg import Running
from sparnet.inference.video.probing import Clip, reason
from sparnet.inference.video.reading import EXACT, Frame

MOST_SIDE = 16_384
"""Of a frame, in H.264."""

_WHY_NOT = re.compile(r"No space left on device|File too large|Disk quota exceeded|Input/output")


@dataclass(frozen=True)
class Container:
    """What a kind of file holds: sounds and subtitles of these codecs are copied, others encoded.

    worst_crf: the end of the encoder's scale.
    """

    muxer: str
    sounds: tuple[str, ...]
    sound: str = "aac"
    subtitles: tuple[str, ...] = ()
    subtitle: str | None = None
    video: str = "libx264"
    crf: int = 18
    worst_crf: int = 51


_MP4 = Container(
    "mp4", ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"), "aac", ("mov_text",), "mov_text"
)
_MOV = Container(
    "mov",
    ("aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"),
    "aac",
    ("mov_text",),
    "mov_text",
)
_MKV = Container(
    "matroska",
    ("aac", "mp3", "ac3", "eac3", "dts", "alac", "opus", "vorbis", "flac", "pcm_s16le"),
    "aac",
    ("subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle"),
    "subrip",
)
_WEBM = Container(
    "webm",
    ("opus", "vorbis"),
    "libopus",
    ("webvtt",),
    "webvtt",
    video="libvpx-vp9",
    crf=24,
    worst_crf=63,
)

CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".mkv": _MKV,
    ".webm": _WEBM,
}
"""The suffixes that a video can be written under. AVI cannot say when a frame is shown."""

_TEXT = ("subrip", "ass", "webvtt", "mov_text", "text", "ssa")


def container(suffix: str) -> Container:
    """What is written under `suffix`; UserError where no video is."""
    found = CONTAINERS.get(suffix.lower())
    if found is None:
        raise UserError(f"{suffix or 'no suffix'}: videos are written as {', '.join(CONTAINERS)}")
    return found


def quality(suffix: str, crf: int | None) -> int:
    """The constant rate factor that is written under `suffix`; UserError for one out of range."""
    kind = container(suffix)
    if crf is None:
        return kind.crf
    if not 1 <= crf <= kind.worst_crf:
        raise UserError(f"--crf {crf}: must be from 1 to {kind.worst_crf} in a {suffix}")
    return crf


class Writer:
    """Takes the frames of one video, in order, and encodes them as they come."""

    def __init__(
        self, clip: Clip, path: Path, suffix: str, crf: int, keep_metadata: bool, stack: ExitStack
    ) -> None:
        self._clip, self._path, self._suffix = clip, path, suffix
        self._crf, self._keep_metadata, self._stack = crf, keep_metadata, stack
        self._running: Running | None = None
        self._start = 0

    def write(self, frame: Frame) -> None:
        """Raises OSError where the file cannot be written."""
        pixels = _even(frame.pixels)
        if self._running is None:
            self._begin(frame, pixels)
        elapsed = (frame.time - self._start) * frame.base
        self._send(matroska.before_frame(elapsed, pixels.nbytes))
        self._send(np.ascontiguousarray(pixels).data)

    def finish(self) -> None:
        """Wait until everything is encoded. Raises OSError where it cannot be written."""
        if self._running is None:
            return
        assert self._running.process.stdin is not None
        with suppress(BrokenPipeError):
            self._running.process.stdin.close()
        if self._running.end():
            self._fail()

    def _begin(self, frame: Frame, pixels: Picture) -> None:
        height, width = pixels.shape[:2]
        self._start = frame.time
        self._running = self._stack.enter_context(
            ffmpeg.running(self._arguments(frame), stdin=True)
        )
        self._send(matroska.header(width, height, self._clip.rate))

    def _send(self, data: bytes | memoryview) -> None:
        assert self._running is not None
        assert self._running.process.stdin is not None
        try:
            self._running.process.stdin.write(data)
        except BrokenPipeError:
            self._running.end()
            self._fail()

    def _fail(self) -> None:
        assert self._running is not None
        complaints = self._running.complaints()
        known = next((m[0] for line in complaints if (m := _WHY_NOT.search(line))), None)
        raise OSError(known or reason(complaints))

    def _arguments(self, first: Frame) -> list[str]:
        """The second input is the video itself: what is kept of it comes from there."""
        kind = container(self._suffix)
        later = f"{float(first.seconds):.6f}"
        metadata = [] if self._keep_metadata else ["-metadata:s", "creation_time="]
        return [
            *("-xerror", "-y", "-itsoffset", later, "-f", "matroska", "-i", "pipe:0"),
            *ffmpeg.input_file(self._clip.path),
            *("-map", "0:v:0", "-vf", _filters(self._clip)),
            *_encoder(kind, self._crf, first),
            *_sounds(kind, self._clip.sounds),
            *_subtitles(kind, self._clip.subtitles),
            *("-map_metadata:g", "1:g" if self._keep_metadata else "-1", "-map_chapters", "1"),
            *metadata,
            *("-fflags", "+bitexact", "-f", kind.muxer, f"file:{self._path}"),
        ]


@contextmanager
def writing(
    clip: Clip, target: Path, crf: int | None = None, keep_metadata: bool = False
) -> Iterator[Writer]:
    """A writer to `target`, which is there only once the block has ended well.

    Its suffix chooses among CONTAINERS. crf: the encoder's constant rate factor, from 1; lower is
    better and larger; None takes the container's. Every sound of `clip` is copied, or encoded
    where the container cannot hold it, and so are subtitles that are text. keep_metadata: title,
    date and place of the recording too.
    """
    crf = quality(target.suffix, crf)
    with files.replacing(target) as temporary, ExitStack() as stack:
        writer = Writer(clip, temporary, target.suffix, crf, keep_metadata, stack)
        yield writer
        writer.finish()


def _even(pixels: Picture) -> Picture:
    """The last row and column repeated, where there is an odd number: YUV 4:2:0 has pairs."""
    height, width = pixels.shape[:2]
    if height % 2 == width % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _filters(clip: Clip) -> str:
    colours = clip.colours
    span = "pc" if colours.full else "tv"
    told = f"colorspace={colours.matrix}:range={span}"
    told += f":color_primaries={colours.primaries}:color_trc={colours.transfer}"
    yuv = f"scale={EXACT}:out_color_matrix={colours.matrix}:out_range={span},format=yuv420p"
    return f"{yuv},setparams={told},setsar={clip.aspect.numerator}/{clip.aspect.denominator}"


def _encoder(kind: Container, crf: int, first: Frame) -> list[str]:
    base = f"{first.base.numerator}/{first.base.denominator}"
    options = ["-c:v", kind.video, "-crf", str(crf)]
    if kind.video == "libvpx-vp9":
        options += ["-b:v", "0", "-row-mt", "1", "-deadline", "good", "-cpu-used", "4"]
    if kind.muxer in ("mp4", "mov"):
        options += ["-movflags", "+faststart"]
    return [*options, "-fps_mode", "passthrough", "-enc_time_base", base]


def _sounds(kind: Container, codecs: tuple[str, ...]) -> list[str]:
    arguments: list[str] = []
    for number, codec in enumerate(codecs):
        chosen = "copy" if codec in kind.sounds else kind.sound
        arguments += ["-map", f"1:a:{number}", f"-c:a:{number}", chosen]
    return arguments


def _subtitles(kind: Container, codecs: tuple[str, ...]) -> list[str]:
    """Pictures of text cannot become text: they are kept only where they can be copied."""
    arguments: list[str] = []
    kept = 0
    for number, codec in enumerate(codecs):
        copied = codec in kind.subtitles
        if copied or (codec in _TEXT and kind.subtitle):
            chosen = "copy" if copied else str(kind.subtitle)
            arguments += ["-map", f"1:s:{number}", f"-c:s:{kept}", chosen]
            kept += 1
    return arguments
