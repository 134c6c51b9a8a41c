"""The standard streams of the command line's process: kept for what the command itself says.

What else writes there is code of steps, and libraries. Its texts are cleaned, and while a command runs none of them
reaches stdout: `sys.stdout` leads to the log of the step that prints, and file descriptor 1 (children, C libraries) to
stderr.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import select
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from agentflow.cli.shown import cleaned_lines, redacted, without_styles
from agentflow.cli.writer import Output
from agentflow.steps.running import running_step

SHOWN = 1 << 20
"""Bytes that wait for who reads stderr slowly; more of them are dropped."""
LAST = 1.0
"""Seconds that a slow reader of stderr gets when the command ends."""
FIRST_FREE = 3


@dataclass(slots=True)
class Streams:
    """Standard output and standard error of this process."""

    out: Output
    err: Output
    guarded: bool = False
    """Whether only results reach stdout."""
    _stray: _Stray | None = field(default=None)

    def guard(self) -> None:
        """Keep stdout for results from now on: code of steps may run."""
        if self.guarded:
            return
        self.guarded = True
        self._stray = _Stray(_shown_on(lambda: self.err))
        self._stray.begin()

    def end(self) -> OSError | None:
        """Write what is left; returns what kept results from being written."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if self._stray is not None:
            self._stray.end(self.err)
        self.out.drain(None)
        self.err.drain(LAST)
        return self.out.failed


_streams: Streams | None = None


def take() -> Streams:
    """Take the process's streams: to be called first in it, and once."""
    global _streams  # noqa: PLW0603  a process has one of each
    _fill()
    encodings = [getattr(stream, "encoding", None) or "utf-8" for stream in (sys.stdout, sys.stderr)]
    numbers = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for number in (1, 2)]
    streams = _streams = Streams(Output(numbers[0], encodings[0]), Output(numbers[1], encodings[1], most=SHOWN))
    sys.stdout = _printed(1, _shown_on(lambda: streams.err if streams.guarded else streams.out), logs=True)
    sys.stderr = _printed(2, _shown_on(lambda: streams.err))
    return streams


def guard() -> None:
    """Keep stdout for results from now on, if the streams are ours."""
    if _streams is not None:
        _streams.guard()


def wire() -> tuple[int, Output]:
    """Return standard input and output for a protocol that speaks there: code of steps gets neither of them."""
    streams = _streams or take()
    streams.guard()
    streams.out = Output(streams.out.fileno())  # protocols are UTF-8, whatever the terminal's encoding is
    source = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source, streams.out


def standard() -> tuple[Output | TextIO, Output | TextIO]:
    """Return what results and what talk are written to."""
    return (sys.stdout, sys.stderr) if _streams is None else (_streams.out, _streams.err)


def _fill() -> None:
    """Open what was closed at the start: no file of ours becomes a standard stream, and writing there still fails."""
    for number in range(FIRST_FREE):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)


def _shown_on(stream: Callable[[], Output]) -> Callable[[str], object]:
    """Return what shows a text that isn't ours: clean, but with its line breaks."""

    def show(text: str) -> None:
        stream().write("\n".join(cleaned_lines(without_styles(redacted(text)))))

    return show


class _Stray:
    """What arrives at file descriptor 1, in a thread: whoever writes there never waits for who reads stderr."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._thread = threading.Thread(target=self._read, name="agentflow stray output", daemon=True)

    def begin(self) -> None:
        """Put a pipe in place of the file descriptor."""
        self._source, target = os.pipe()
        self._stopped, self._stop = os.pipe()
        os.dup2(target, 1)
        os.close(target)
        self._thread.start()

    def end(self, err: Output) -> None:
        """Show what has arrived. What a C library still holds goes to stderr, when the process exits."""
        os.dup2(err.fileno(), 1)
        os.close(self._stop)
        self._thread.join()
        os.close(self._source)
        os.close(self._stopped)

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        while True:
            ready = {number for number, _ in poll.poll()}
            if self._source in ready and (data := os.read(self._source, 65_536)):
                self._show(decode(data))
            elif self._stopped in ready or self._source in ready:
                return


class _Bytes(io.BufferedIOBase):
    """What stands behind `sys.stdout` and `sys.stderr`."""

    def __init__(self, number: int, show: Callable[[str], object], *, logs: bool) -> None:
        """Make it.

        Args:
            number: the file descriptor that children inherit.
            show: takes what no step's log takes.
            logs: whether what a step prints becomes its log.
        """
        self.name = ("<stdin>", "<stdout>", "<stderr>")[number]
        self.mode = "wb"
        self._number = number
        self._show = show
        self._logs = logs
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def write(self, data: Any) -> int:
        """Take bytes."""
        raw = bytes(data)
        text = self._decode(raw)
        step = running_step.get() if self._logs else None
        if step is None or not step.printed(text):
            self._show(text)
        return len(raw)

    def writable(self) -> bool:
        """Say that it takes bytes."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return standard()[self._number - 1].isatty()

    def fileno(self) -> int:
        """Return the file descriptor that children inherit."""
        return self._number

    def close(self) -> None:
        """Do nothing: the stream belongs to the process."""


def _printed(number: int, show: Callable[[str], object], *, logs: bool = False) -> TextIO:
    stream = io.TextIOWrapper(
        _Bytes(number, show, logs=logs),
        "utf-8",
        "backslashreplace",
        newline="\n",
        line_buffering=True,
        write_through=True,
    )
    setattr(stream, "mode", "w")  # noqa: B010  as `open` does it; its type says that it is read only
    return stream
