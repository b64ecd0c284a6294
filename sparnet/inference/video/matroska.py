"""Raw frames with their times as a Matroska stream, which ffmpeg reads from a pipe.

A stream of nothing but pixels could not say when each is shown. See RFC 8794 (EBML) and RFC 9559
(Matroska) for the identifiers.
"""

from __future__ import annotations

from fractions import Fraction

_EBML, _DOC_TYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _INFO, _TIMESTAMP_SCALE = 0x18538067, 0x1549A966, 0x2AD7B1
_TRACKS, _TRACK, _NUMBER, _UID, _TYPE = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83
_CODEC, _DURATION, _VIDEO, _WIDTH, _HEIGHT = 0x86, 0x23E383, 0xE0, 0xB0, 0xBA
_PIXELS, _CLUSTER, _TIMESTAMP, _BLOCK = 0x2EB524, 0x1F43B675, 0xE7, 0xA3
_RGB24 = b"RGB\x18"
_UNKNOWN_SIZE = bytes([0x01] + [0xFF] * 7)
_NANOSECOND = Fraction(1, 10**9)


def header(width: int, height: int, rate: Fraction) -> bytes:
    """What comes before the frames: RGB of width x height, `rate` a second as a rule."""
    video = _number(_WIDTH, width) + _number(_HEIGHT, height) + _element(_PIXELS, _RGB24)
    track = [
        _number(_NUMBER, 1),
        _number(_UID, 1),
        _number(_TYPE, 1),
        _element(_CODEC, b"V_UNCOMPRESSED"),
        _number(_DURATION, round(1 / rate / _NANOSECOND)),
        _element(_VIDEO, video),
    ]
    return b"".join(
        [
            _element(_EBML, _element(_DOC_TYPE, b"matroska")),
            _identifier(_SEGMENT) + _UNKNOWN_SIZE,
            _element(_INFO, _number(_TIMESTAMP_SCALE, 1)),
            _element(_TRACKS, _element(_TRACK, b"".join(track))),
        ]
    )


def before_frame(seconds: Fraction, size: int) -> bytes:
    """What comes before the `size` bytes of a frame that is shown at `seconds` (not negative)."""
    time = _number(_TIMESTAMP, round(seconds / _NANOSECOND))
    track_one_at_once_key = b"\x81\x00\x00\x80"
    inner = len(track_one_at_once_key) + size
    block = _identifier(_BLOCK) + _size(inner) + track_one_at_once_key
    return _identifier(_CLUSTER) + _size(len(time) + len(block) + size) + time + block


def _element(identifier: int, content: bytes) -> bytes:
    return _identifier(identifier) + _size(len(content)) + content


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8))


def _identifier(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8)


def _size(size: int) -> bytes:
    return (size | 1 << 56).to_bytes(8)
