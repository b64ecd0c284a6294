"""The ffmpeg program of the imageio-ffmpeg package: how it is started, ended, and asked for why."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sparnet import images

_FORMATS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg"
_INPUT_LIMITS = ("-protocol_whitelist", "file,pipe,fd", "-format_whitelist", _FORMATS)


@dataclass(frozen=True)
class Done:
    """How a run ended: its exit code, what it wrote, and its complaints, a line each."""

    code: int
    output: str
    complaints: list[str]


class Running:
    """A process that is under way. `process.stdin` and `process.stdout` are pipes where asked."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self.process = process
        self._errors = errors

    def end(self) -> int:
        """Wait for the process, and return its exit code."""
        return self.process.wait()

    def complaints(self) -> list[str]:
        """What it has written to standard error, a line each."""
        self._errors.seek(0)
        return _lines(self._errors.read())


def run(arguments: Sequence[str], level: str = "error") -> Done:
    """Run it to its end."""
    command = _command(arguments, level, "-nostdin")
    done = subprocess.run(command, capture_output=True, check=False, **_SHIELDED)
    return Done(done.returncode, done.stdout.decode(errors="replace"), _lines(done.stderr))


@contextmanager
def running(
    arguments: Sequence[str],
    *,
    stdin: bool = False,
    stdout: bool = False,
    pipes: Sequence[int] = (),
) -> Iterator[Running]:
    """Run it meanwhile; at the end of the block it is killed, if it has not ended by itself.

    pipes: file descriptors that it may write to.
    """
    piped, nothing = subprocess.PIPE, subprocess.DEVNULL
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            _command(arguments, "error", *(() if stdin else ("-nostdin",))),
            stdin=piped if stdin else nothing,
            stdout=piped if stdout else nothing,
            stderr=errors,
            pass_fds=pipes,
            **_SHIELDED,
        )
        try:
            yield Running(process, errors)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what was still to go has nowhere to go
                        stream.close()


def input_file(path: Path) -> list[str]:
    """The arguments that open a video: only as a file, and only in a format that holds videos.

    A playlist could name other files, or servers. Frames of too many pixels are not decoded.
    """
    return [*_INPUT_LIMITS, "-max_pixels", str(images.MAX_PIXELS), "-i", f"file:{path}"]


_SHIELDED: dict[str, Any] = {"start_new_session": True, "restore_signals": False}
"""Ctrl-C is for this process, which ends the other one; and a file that grows too large is an
error to tell, not a signal that kills."""


def _command(arguments: Sequence[str], level: str, *options: str) -> list[str]:
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    return [program, "-hide_banner", "-loglevel", level, "-nostats", *options, *arguments]


def _lines(text: bytes) -> list[str]:
    return [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
