"""A wire between a client and a server that a test can hold: a request that doesn't arrive, an answer that doesn't."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

from tests.surface_a2a.served import Server

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Relay:
    """Passes HTTP requests on to a server, until it is told to hold one."""

    def __init__(self) -> None:
        """Pass on to nobody yet."""
        self.url = ""
        self._to: tuple[str, int] | None = None
        self._hold: tuple[Literal["request", "response"], bytes] | None = None
        self.held = asyncio.Event()
        """Set when what was to be held is: its request had come, and so had its answer where that is held."""
        self.refused = asyncio.Event()
        """Set when a connection was refused."""
        self.seen: list[bytes] = []
        """Bodies of requests."""
        self._busy: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Cut all connections, and refuse others until `to` is called."""
        self._to = None
        for task in list(self._busy):
            task.cancel()

    def to(self, url: str | None) -> None:
        """Pass on to a server; None: refuse."""
        split = urlsplit(url or "")
        self._to = (str(split.hostname), split.port or 0) if url else None

    def hold(self, which: Literal["request", "response"], word: str) -> None:
        """Hold the next request with a word in its body, or its answer; `held` is set when it is."""
        self._hold = (which, word.encode())
        self.held = asyncio.Event()

    def let_go(self) -> None:
        """Hold nothing more."""
        self._hold = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        if task is not None:
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # `end` cancels it
                await self._pass_on(reader, writer)
        finally:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._to is None:
            self.refused.set()
            return
        above_reader, above_writer = await asyncio.open_connection(*self._to)
        back: asyncio.Task[None] | None = None
        keeps = asyncio.Event()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                body = await reader.readexactly(int(found[1])) if found else b""
                self.seen.append(body)
                which = self._hold[0] if self._hold is not None and self._hold[1] in body else None
                if which == "request":
                    self.held.set()
                    await reader.read()
                    return
                if which == "response":
                    keeps.set()
                above_writer.write(head + body)
                await above_writer.drain()
                if back is None:
                    back = asyncio.create_task(self._pump(above_reader, writer, keeps))
        finally:
            if back is not None:
                back.cancel()
            above_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keeps: asyncio.Event) -> None:
        """Pass answers on, unless they are to be kept."""
        with suppress(OSError):
            while data := await reader.read(65536):
                if keeps.is_set():
                    self.held.set()
                    continue
                writer.write(data)
                await writer.drain()
            writer.close()

    async def end(self) -> None:
        """End all connections."""
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


def behind(wire: Relay, serve: Callable[..., Server]) -> Server:
    """Start a server that is reached through a relay; its own address is `url` of the returned one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve("--url", wire.url, "--port", str(port))
    server.url = f"http://127.0.0.1:{port}"
    wire.to(server.url)
    return server


@asynccontextmanager
async def relay() -> AsyncGenerator[Relay]:
    """Give a relay that takes connections."""
    made = Relay()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.end()
