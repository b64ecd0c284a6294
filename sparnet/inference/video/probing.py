"""What a video file holds, told by ffmpeg."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sparnet.errors import UserError
from sparnet.inference.planning import VIDEOS
from sparnet.inference.video import ffmpeg

_STREAM = re.compile(r"^Stream #0:\d+\S*: (Audio|Subtitle): (\w+)")
_RATE = re.compile(r"^Stream #0:\d+\S*: Video: .*?, ([\d.]+) fps")
_SHOWN = r"^\[Parsed_showinfo\S* @ \S+ "
_FRAME = re.compile(_SHOWN + r"n: +0 .*? fmt:(\w+) .*?sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)")
_COLOURS = re.compile(
    _SHOWN + r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)"
)
_CUT_OFF = re.compile(r"partial file|ended prematurely|moov atom not found|[Tt]runcat")
_MATRICES = ("bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc")
_NTSC = Fraction(1000, 1001)
_HIGH_DEFINITION = 720


class UnreadableVideo(UserError):
    """The file is no video that can be used; the text names it and says why."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")


@dataclass(frozen=True)
class Colours:
    """How YUV values stand for colours, in ffmpeg's words; "unknown" where the file tells none.

    matrix: where it tells none, what players take: BT.709 for high definition, BT.601 below.
    full: whether 0 to 255 are used; else 16 to 235. rgb: whether the file holds RGB itself.
    """

    matrix: str = "bt709"
    full: bool = False
    primaries: str = "unknown"
    transfer: str = "unknown"
    rgb: bool = False


@dataclass(frozen=True)
class Clip:
    """What is known of a video before its frames are read.

    width, height: of a frame in pixels, turned as the file says. frames: how many there are, as
    far as can be told without decoding them. rate: frames a second, of a steady video. aspect:
    width of a pixel by its height. sounds and subtitles: the codec of each such stream.
    """

    path: Path
    width: int
    height: int
    frames: int
    rate: Fraction
    aspect: Fraction
    interlaced: bool
    colours: Colours
    sounds: tuple[str, ...]
    subtitles: tuple[str, ...]


def probe(path: Path) -> Clip:
    """Look into a video. UnreadableVideo where it is none, is cut off, or shows no frame."""
    beginning = _beginning(path)
    look = [*ffmpeg.input_file(path), "-map", "0:V:0", "-vf", "showinfo", "-frames:v", "1"]
    done = ffmpeg.run([*look, "-f", "null", "-"], level="info")
    found = [match for line in done.complaints if (match := _FRAME.search(line))]
    if not found:
        raise UnreadableVideo(path, _why_not("\n".join(done.complaints), beginning))
    kind, across, down, width, height, fields = found[0].groups()
    known = int(across) and int(down)
    return Clip(
        path,
        int(width),
        int(height),
        _count(path),
        _rate(done.complaints),
        Fraction(int(across), int(down)) if known else Fraction(1),
        fields in "TB",
        _colours(done.complaints, kind, max(int(width) * 9 // 16, int(height))),
        _streams(done.complaints, "Audio"),
        _streams(done.complaints, "Subtitle"),
    )


def refuse_damage(path: Path, code: int, complaints: list[str]) -> None:
    """UnreadableVideo where ffmpeg ended with an error, or tells that the file is cut off."""
    if any(_CUT_OFF.search(line) for line in complaints):
        raise UnreadableVideo(path, "damaged video (it is cut off)")
    if code:
        raise UnreadableVideo(path, f"damaged video ({reason(complaints)})")


def reason(complaints: Iterable[str]) -> str:
    """The first complaint, which the others follow from, without ffmpeg's own addresses."""
    first = next(iter(complaints), "no reason given")
    return re.sub(r"^(\[[^]]*\] *)+", "", first)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(12)
    except OSError as error:
        raise UnreadableVideo(path, f"cannot be read ({error.strerror})") from None
    if not beginning:
        raise UnreadableVideo(path, "damaged video (it is empty)")
    return beginning


def _why_not(told: str, beginning: bytes) -> str:
    if "Picture size" in told:
        return "its frames have too many pixels"
    if "moov atom not found" in told and beginning[4:8] == b"ftyp":
        return "damaged video (it is cut off)"
    if "Video:" in told and "matches no streams" not in told:
        return "damaged video (no frame can be decoded)"
    if "Stream #0:" in told:
        return "holds no moving pictures"
    return f"not a video in {', '.join(suffix[1:] for suffix in VIDEOS)}"


def _count(path: Path) -> int:
    count = [*ffmpeg.input_file(path), "-map", "0:V:0", "-c", "copy", "-f", "null"]
    done = ffmpeg.run([*count, "-progress", "pipe:1", "-stats_period", "3600", "-"])
    refuse_damage(path, done.code, done.complaints)
    return int(re.findall(r"^frame=(\d+)", done.output, re.MULTILINE)[-1])


def _rate(lines: list[str]) -> Fraction:
    """ffmpeg prints two digits: 29.97 stands for 30000/1001."""
    shown = [Fraction(match[1]) for line in lines if (match := _RATE.search(line))]
    if not shown or not shown[0]:
        return Fraction(25)
    whole = round(shown[0])
    ntsc = round(shown[0] / _NTSC) * _NTSC
    return ntsc if shown[0] != whole and abs(ntsc - shown[0]) < Fraction(1, 100) else shown[0]


def _colours(lines: list[str], kind: str, height: int) -> Colours:
    told = next((match.groups() for line in lines if (match := _COLOURS.search(line))), ("",) * 4)
    span, matrix, primaries, transfer = (_known(word) for word in told)
    if matrix not in _MATRICES:
        matrix = "bt709" if height >= _HIGH_DEFINITION else "smpte170m"
    rgb = kind.startswith(("gbr", "rgb", "bgr", "argb", "abgr", "pal8", "0rgb", "x2rgb"))
    full = span == "pc" or kind.startswith("yuvj")
    return Colours(matrix, full and not rgb, primaries, transfer, rgb)


def _known(word: str) -> str:
    return word if word and word != "reserved" else "unknown"


def _streams(lines: list[str], kind: str) -> tuple[str, ...]:
    found = (match for line in lines if (match := _STREAM.search(line)))
    return tuple(match[2] for match in found if match[1] == kind)
