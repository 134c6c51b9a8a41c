"""The two ends of a protocol that speaks in lines over file descriptors. Neither ever holds up the event loop."""

from __future__ import annotations

import os
from collections import deque
from typing import Protocol

import anyio
import anyio.lowlevel

PIECE = 65_536
LONGEST = 16 << 20
"""Bytes of one line; what is longer is no message."""


class Sink(Protocol):
    """What takes texts without waiting for their reader."""

    def write(self, text: str, /) -> object:
        """Take a text."""
        ...


class Source:
    """Reads lines from a file descriptor, and can be left while it waits for one."""

    def __init__(self, number: int) -> None:
        """Read from an open file descriptor."""
        self._number = number
        self._lines: deque[bytes] = deque()
        self._rest = bytearray()
        self._skips = False
        self._over = False

    def __aiter__(self) -> Source:
        """Return itself."""
        return self

    async def __anext__(self) -> str:
        """Return the next line; what isn't UTF-8 in it is replaced."""
        while not self._lines:
            if self._over:
                raise StopAsyncIteration
            self._take(await self._read())
        return self._lines.popleft().decode("utf-8", "replace")

    async def _read(self) -> bytes:
        while True:
            try:
                await anyio.wait_readable(self._number)
            except PermissionError:  # a file: it never makes anybody wait
                await anyio.lowlevel.checkpoint()
            try:
                return os.read(self._number, PIECE)
            except BlockingIOError:  # another process has made it so, and read what there was
                continue
            except OSError:  # its other end is gone
                return b""

    def _take(self, data: bytes) -> None:
        self._over = not data
        *whole, last = data.split(b"\n")
        for part in whole:
            line = bytes(self._rest) + part
            self._rest.clear()
            if self._skips:
                self._skips = False
            elif line.strip():
                self._lines.append(line)
        if self._over and self._rest and not self._skips:
            self._lines.append(bytes(self._rest))
        elif not self._skips:
            self._rest += last
        if len(self._rest) > LONGEST:
            self._rest.clear()
            self._skips = True
            self._lines.append(b'"a line that is too long"')  # told as what it is: no message


class Target:
    """Writes texts to a sink."""

    def __init__(self, sink: Sink) -> None:
        """Write to a sink."""
        self._sink = sink

    async def write(self, text: str) -> None:
        """Write a text."""
        self._sink.write(text)

    async def flush(self) -> None:
        """Do nothing: the sink holds nothing back."""
