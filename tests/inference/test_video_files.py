"""Videos in and out: pictures, colours, times and sounds come back as they were."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest

from sparnet.errors import UserError
from sparnet.inference.video import UnreadableVideo, ffmpeg, probing, writing

CODED = 1.5
"""Levels, on average, that coding at the best quality may cost a smooth frame."""


def smooth(count: int, height: int = 96, width: int = 128) -> list[np.ndarray]:
    """Coloured waves that wander."""
    x, y = np.arange(width) / 16, np.arange(height)[:, None] / 12
    waves = [
        [np.sin(x + y + time / 5), np.cos(x - y + time / 7), np.sin(y - time / 6) + 0 * x]
        for time in range(count)
    ]
    return [np.rint(128 + 80 * np.stack(each, axis=2)).astype(np.uint8) for each in waves]


def copied(source: Path, target: Path, crf: int = 1, keep_metadata: bool = False) -> Path:
    """Written by a restorer that changes nothing."""
    with writing.writing(probing.probe(source), target, crf, keep_metadata) as writer:
        for frame in clips.read(source):
            writer.write(frame)
    return target


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames at a rate that is no whole number, with sound."""
    path = tmp_path_factory.mktemp("clips") / "talking.mp4"
    return clips.make(path, smooth(30), inputs=clips.sine(1.0), rate="30000/1001")


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm"])
def test_a_copy_has_the_same_frames_at_the_same_times_and_the_same_sound(
    talking: Path, tmp_path: Path, suffix: str
) -> None:
    before = clips.read(talking)
    copy = copied(talking, tmp_path / f"copy{suffix}")
    after = clips.read(copy)
    assert len(after) == len(before) == 30
    millisecond = Fraction(1, 1000) if suffix in (".mkv", ".webm") else Fraction(0)
    for one, other in zip(before, after, strict=True):
        assert abs(one.seconds - other.seconds) <= millisecond / 2
        change = other.pixels.astype(int) - one.pixels
        assert np.abs(change).mean() < CODED
        assert np.abs(change.mean(axis=(0, 1))).max() < 0.7, "no colour is shifted"
    assert probing.probe(copy).rate == Fraction(30000, 1001)
    if suffix == ".webm":
        assert probing.probe(copy).sounds == ("opus",)
    else:
        assert np.array_equal(clips.sound(copy), clips.sound(talking))


@pytest.mark.parametrize(
    "colours",
    [
        probing.Colours("bt709", False, "bt709", "bt709"),
        probing.Colours("smpte170m", False, "smpte170m", "smpte170m"),
        probing.Colours("bt709", True, "bt709", "iec61966-2-1"),
        probing.Colours("bt2020nc", False, "bt2020", "bt709"),
    ],
)
def test_colours_stay_and_the_file_says_how_they_are_meant(
    tmp_path: Path, colours: probing.Colours
) -> None:
    bars = np.zeros((64, 96, 3), np.uint8)
    for place, shade in enumerate([(230, 20, 20), (20, 230, 20), (20, 20, 230)]):
        bars[:, 32 * place : 32 * place + 32] = shade
    span = "pc" if colours.full else "tv"
    told = f"range={span}:color_primaries={colours.primaries}:color_trc={colours.transfer}"
    to_yuv = f"scale=out_color_matrix={colours.matrix}:out_range={span}:flags=accurate_rnd"
    filters = f"{to_yuv},format=yuv420p,setparams=colorspace={colours.matrix}:{told}"
    source = clips.make(tmp_path / "bars.mp4", [bars] * 5, "-vf", filters)
    assert probing.probe(source).colours == colours
    [first, *_] = clips.read(source)
    middles = np.s_[16:48, [16, 48, 80]]
    assert np.abs(first.pixels[middles].astype(int) - bars[middles]).max() <= 4
    copy = copied(source, tmp_path / "copy.mp4")
    assert probing.probe(copy).colours == colours
    [again, *_] = clips.read(copy)
    assert np.abs(again.pixels[middles].astype(int) - first.pixels[middles]).max() <= 2


@pytest.mark.parametrize(("height", "matrix"), [(480, "smpte170m"), (720, "bt709")])
def test_colours_that_are_not_told_are_taken_as_players_take_them(
    tmp_path: Path, height: int, matrix: str
) -> None:
    picture = np.full((height, 16, 3), 90, np.uint8)
    source = clips.make(tmp_path / "untold.mkv", [picture], "-bsf:v", "filter_units=remove_types=6")
    told = probing.probe(source).colours
    assert (told.matrix, told.primaries) == (matrix, "unknown")


def test_a_file_of_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    frames = smooth(3)
    source = clips.make(tmp_path / "rgb.mkv", frames, "-c:v", "ffv1", "-pix_fmt", "gbrp")
    for frame, original in zip(clips.read(source), frames, strict=True):
        assert np.array_equal(frame.pixels, original)


def test_a_video_that_is_to_be_turned_is_turned(tmp_path: Path) -> None:
    upright = clips.make(tmp_path / "upright.mp4", smooth(5))
    turned = tmp_path / "turned.mp4"
    clips.ffmpeg("-display_rotation", 90, "-i", upright, "-c", "copy", turned)
    clip = probing.probe(turned)
    assert (clip.width, clip.height) == (96, 128)
    copy = copied(turned, tmp_path / "copy.mp4")
    plain = clips.ffmpeg("-noautorotate", "-i", copy, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    shown = np.frombuffer(plain, np.uint8).reshape(5, 128, 96, 3)
    for frame, original in zip(shown, clips.read(upright), strict=True):
        assert np.abs(np.rot90(frame, -1).astype(int) - original.pixels).mean() < 2 * CODED


def test_frames_of_unequal_length_keep_their_times(tmp_path: Path) -> None:
    gaps = "select='not(eq(mod(n\\,7)\\,3))',setpts='if(gt(N,12),PTS+9,PTS)+2'"
    late = ["-vf", gaps, "-fps_mode", "passthrough"]
    source = clips.make(tmp_path / "uneven.mp4", smooth(30), *late, inputs=clips.sine(1.6))
    times = [frame.seconds for frame in clips.read(source)]
    assert times[0] == Fraction(2, 25), "the sound begins before the pictures"
    lengths = {after - before for before, after in itertools.pairwise(times)}
    assert len(lengths) > 2
    copy = copied(source, tmp_path / "copy.mp4")
    assert [frame.seconds for frame in clips.read(copy)] == times
    assert np.array_equal(clips.sound(copy), clips.sound(source))


def test_every_sound_is_kept_in_its_language(tmp_path: Path) -> None:
    both = ["-map", "0:v", "-map", "1:a", "-map", "2:a", "-metadata:s:a:1", "language=fra"]
    tones = [*clips.sine(0.5, 440), *clips.sine(0.5, 880)]
    source = clips.make(tmp_path / "two.mp4", smooth(12), *both, inputs=tones)
    copy = copied(source, tmp_path / "copy.mkv")
    for number in (0, 1):
        assert np.array_equal(clips.sound(copy, number), clips.sound(source, number))
    told = " ".join(ffmpeg.run(["-i", str(copy)], level="info").complaints)
    assert "Stream #0:2(fra): Audio" in told


def test_sound_that_a_container_cannot_hold_is_encoded(tmp_path: Path) -> None:
    source = clips.make(
        tmp_path / "pcm.mkv", smooth(12), "-c:a", "pcm_s16le", inputs=clips.sine(0.48)
    )
    copy = copied(source, tmp_path / "copy.mp4")
    assert probing.probe(copy).sounds == ("aac",)
    before, after = clips.sound(source).astype(float), clips.sound(copy).astype(float)
    assert np.corrcoef(before[2000:18000], after[2000:18000])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("suffix", "kept"), [(".mp4", ("mov_text",)), (".mkv", ("ass",)), (".webm", ("webvtt",))]
)
def test_subtitles_are_kept_in_the_words_of_the_container(
    tmp_path: Path, suffix: str, kept: tuple[str, ...]
) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,400\nGood morning\n")
    words = ["-i", tmp_path / "words.srt"]
    source = clips.make(tmp_path / "words.mkv", smooth(12), "-c:s", "ass", inputs=words)
    copy = copied(source, tmp_path / f"copy{suffix}", crf=20)
    assert probing.probe(copy).subtitles == kept
    assert b"Good morning" in clips.ffmpeg("-i", copy, "-map", "0:s", "-f", "srt", "-")


def test_where_a_video_was_taken_is_not_passed_on_unasked(tmp_path: Path) -> None:
    told = ["-metadata", "location=+48.1+011.5/", "-metadata", "title=Garden"]
    source = clips.make(tmp_path / "garden.mp4", smooth(3), *told)
    bare, kept = tmp_path / "bare.mp4", tmp_path / "kept.mp4"
    copied(source, bare)
    copied(source, kept, keep_metadata=True)
    assert b"Garden" not in bare.read_bytes()
    assert b"+48.1" not in bare.read_bytes()
    assert b"Garden" in kept.read_bytes()


def test_an_odd_side_gets_one_more_line(tmp_path: Path) -> None:
    frames = smooth(4, 95, 127)
    source = clips.make(tmp_path / "odd.mkv", frames, "-pix_fmt", "yuv444p")
    clip = probing.probe(source)
    assert (clip.width, clip.height) == (127, 95)
    after = clips.read(copied(source, tmp_path / "even.mp4"))
    assert after[0].pixels.shape == (96, 128, 3)
    for frame, original in zip(after, frames, strict=True):
        assert np.abs(frame.pixels[:95, :127].astype(int) - original).mean() < 2 * CODED
        assert np.abs(frame.pixels[95, :127].astype(int) - original[94]).mean() < 8


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    source = clips.make(tmp_path / "wide.mp4", smooth(3), "-vf", "setsar=16/11")
    copy = copied(source, tmp_path / "copy.mkv")
    assert probing.probe(copy).aspect == probing.probe(source).aspect == Fraction(16, 11)


def test_interlaced_frames_are_made_whole_one_for_one(tmp_path: Path) -> None:
    fields = ["-vf", "setfield=tff", "-flags", "+ildct+ilme"]
    source = clips.make(tmp_path / "fields.mp4", smooth(8), *fields)
    assert probing.probe(source).interlaced
    assert len(clips.read(source)) == 8
    assert not probing.probe(copied(source, tmp_path / "copy.mp4")).interlaced


def test_the_same_frames_become_the_same_bytes(talking: Path, tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        one = copied(talking, tmp_path / f"one{suffix}", crf=20)
        other = copied(talking, tmp_path / f"other{suffix}", crf=20)
        assert one.read_bytes() == other.read_bytes()


def cut(path: Path, faststart: bool, tmp_path: Path) -> bytes:
    flags = ["-movflags", "+faststart"] if faststart else []
    whole = tmp_path / f"whole{path.suffix}"
    clips.ffmpeg("-i", path, "-c", "copy", *flags, whole)
    data = whole.read_bytes()
    whole.unlink()
    return data[: len(data) * 3 // 4]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not a video in mp4"),
        ("empty", "it is empty"),
        ("sound", "holds no moving pictures"),
        ("picture", "not a video in mp4"),
        ("playlist", "not a video in mp4"),
        ("cut", "cut off"),
        ("cut, index first", "cut off"),
        ("missing", "cannot be read (No such file"),
    ],
)
def test_what_is_no_video_is_one_line(
    talking: Path, tmp_path: Path, kind: str, message: str
) -> None:
    path = tmp_path / "in.mp4"
    if kind == "sound":
        clips.ffmpeg(*clips.sine(0.3), path)
    elif kind == "picture":
        clips.ffmpeg("-i", talking, "-frames:v", 1, "-c:v", "png", "-f", "image2pipe", path)
    elif kind != "missing":
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{talking}\n".encode()
        content = {"text": b"no video", "empty": b"", "playlist": playlist}
        cuts = ("cut", "cut, index first")
        known = kind not in cuts
        path.write_bytes(content[kind] if known else cut(talking, kind == cuts[1], tmp_path))
    with pytest.raises(UnreadableVideo) as caught:
        probing.probe(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line


def test_a_cut_off_matroska_file_is_told_too(talking: Path, tmp_path: Path) -> None:
    whole = copied(talking, tmp_path / "whole.mkv", crf=20)
    short = tmp_path / "short.mkv"
    short.write_bytes(whole.read_bytes()[:-4000])
    with pytest.raises(UnreadableVideo, match="cut off"):
        probing.probe(short)


def test_a_video_that_is_damaged_within_ends_the_reading(talking: Path, tmp_path: Path) -> None:
    data = bytearray(talking.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 3000] = bytes(3000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    with pytest.raises(UnreadableVideo, match="damaged video"):
        clips.read(damaged)


def test_frames_of_too_many_pixels_are_not_decoded(tmp_path: Path) -> None:
    huge = ["-f", "lavfi", "-i", "color=s=16000x4200:d=0.04", "-c:v", "ffv1", "-g", "1"]
    path = tmp_path / "huge.mkv"
    clips.ffmpeg(*huge, path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UnreadableVideo, match="too many pixels"):
        probing.probe(path)


def test_nothing_stays_of_a_video_that_was_given_up(talking: Path, tmp_path: Path) -> None:
    frames = clips.read(talking)
    clip = probing.probe(talking)
    with (
        pytest.raises(RuntimeError),
        writing.writing(clip, tmp_path / "out.mp4") as writer,
    ):
        writer.write(frames[0])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_crf_out_of_range_is_refused() -> None:
    assert writing.quality(".mp4", None) == 18
    assert writing.quality(".WEBM", 60) == 60
    for suffix, crf in ((".mp4", 52), (".webm", 64), (".mkv", 0)):
        with pytest.raises(UserError, match="--crf"):
            writing.quality(suffix, crf)
    with pytest.raises(UserError, match="videos are written as"):
        writing.quality(".avi", None)
