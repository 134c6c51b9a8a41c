"""What a server's program writes to its stderr: the end of it is kept, for errors."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import TextIOWrapper

import anyio

KEPT = 4096
"""Bytes that are kept."""


class Tail:
    """Reads a pipe, and keeps the end of what was written."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.over = anyio.Event()
        """Nobody writes any more."""
        self._kept = b""

    @property
    def text(self) -> str:
        """The last lines."""
        return self._kept.decode("utf-8", "replace").strip()

    @asynccontextmanager
    async def sink(self) -> AsyncGenerator[TextIOWrapper]:
        """Read what is written to what this gives, which is to be closed when the program has it."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with (
            os.fdopen(reading, "rb", 0),
            TextIOWrapper(os.fdopen(writing, "wb", 0), encoding="utf-8", write_through=True) as sink,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(self._read, reading)
                try:
                    yield sink
                finally:
                    sink.close()
                    with anyio.move_on_after(0.2, shield=True):  # what was said last is there already
                        await self.over.wait()
                    group.cancel_scope.cancel()

    async def _read(self, reading: int) -> None:
        """Read until everybody who may write has gone."""
        try:
            while True:
                await anyio.wait_readable(reading)
                try:
                    chunk = os.read(reading, 65536)
                except BlockingIOError:
                    continue
                if not chunk:
                    return
                self._kept = (self._kept + chunk)[-KEPT:]
        finally:
            self.over.set()
