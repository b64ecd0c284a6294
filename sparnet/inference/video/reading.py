"""The frames of a video, one after another, each with its time."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import numpy as np

from sparnet.images import Picture
from sparnet.inference.video import ffmpeg
from sparnet.inference.video.probing import Clip, Colours, refuse_damage

EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
"""How ffmpeg goes between YUV and RGB: the way there and back changes least."""


@dataclass(frozen=True, eq=False)
class Frame:
    """pixels: uint8 HxWx3, upright. time: when it is shown, in `base`s, which is in seconds;
    the earliest stream of the file begins at 0."""

    pixels: Picture
    time: int
    base: Fraction

    @property
    def seconds(self) -> Fraction:
        """When it is shown."""
        return self.time * self.base


def frames(clip: Clip) -> Generator[Frame, None, None]:
    """Every frame once, in the order they are shown; times grow from one to the next.

    Only one frame is held. Raises UnreadableVideo where the file turns out to be damaged. Close
    the generator (or use it up) to end ffmpeg.
    """
    ours, theirs = os.pipe()
    with os.fdopen(ours) as times:
        try:
            reader = ffmpeg.running(_arguments(clip, theirs), stdout=True, pipes=[theirs])
            with reader as running:
                os.close(theirs)
                theirs = -1
                assert running.process.stdout is not None
                yield from _paired(times, running.process.stdout)
                refuse_damage(clip.path, running.end(), running.complaints())
        finally:
            if theirs >= 0:
                os.close(theirs)


def _arguments(clip: Clip, times: int) -> list[str]:
    """PPM tells the size of each frame; the times come through a pipe of their own."""
    return [
        "-xerror",
        *ffmpeg.input_file(clip.path),
        *("-map", "0:V:0", "-vf", _filters(clip)),
        *("-fps_mode", "passthrough", "-enc_time_base", "demux"),
        *("-stats_enc_pre", f"pipe:{times}", "-stats_enc_pre_fmt", "{pts} {tb}"),
        *("-c:v", "ppm", "-f", "image2pipe", "pipe:1"),
    ]


def _filters(clip: Clip) -> str:
    weave = ["bwdif=mode=send_frame:deint=interlaced"] if clip.interlaced else []
    return ",".join([*weave, *_told(clip.colours), f"scale={EXACT}", "format=rgb24"])


def _told(colours: Colours) -> list[str]:
    span = "pc" if colours.full else "tv"
    return [] if colours.rgb else [f"setparams=colorspace={colours.matrix}:range={span}"]


def _paired(times: IO[str], pictures: IO[bytes]) -> Iterator[Frame]:
    last: int | None = None
    for line in times:
        pts, base = line.split()
        pixels = _picture(pictures)
        if pixels is None:
            return
        last = int(pts) if last is None else max(int(pts), last + 1)
        yield Frame(pixels, last, Fraction(base))


def _picture(stream: IO[bytes]) -> Picture | None:
    """The next one of a stream of PPMs; None where it ends."""
    kind, size, most = (stream.readline().split() for _ in range(3))
    if not most:
        return None
    assert (kind, most) == ([b"P6"], [b"255"])
    width, height = map(int, size)
    data = stream.read(3 * width * height)
    if len(data) < 3 * width * height:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)
