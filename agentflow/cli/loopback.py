"""Where a browser comes back to that has signed in for a command: an address of this machine, while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import anyio

from agentflow.errors import ConflictError
from agentflow.ports import taken

PATH = "/callback"
_LONGEST = 60.0
"""Seconds that the browser waits for the page that tells what came of it."""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font: 1.1rem/1.5 system-ui; max-width: 36rem; margin: 4rem auto">
<h1>{title}</h1><p>{text}</p></body></html>
"""


class Told(NamedTuple):
    """What the browser shows at the end."""

    title: str
    text: str
    status: int = 200


class Loopback:
    """Takes what browsers bring."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop) -> None:
        """Listen on this machine; raises ConflictError where the port is taken."""
        self._loop = loop
        self._come: asyncio.Queue[tuple[dict[str, str], Future[Told]]] = asyncio.Queue()
        try:
            self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        except OSError:
            hint = "say another one with --port, which the service has to know"
            raise ConflictError(taken(port), code="AF-PORT-TAKEN", hint=hint) from None
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where the browser comes back to."""
        return f"http://127.0.0.1:{self.server.server_address[1]}{PATH}"

    async def answered(self, take: Callable[[dict[str, str]], Awaitable[Told | None]]) -> None:
        """Give each query that comes to a function, until one is the answer that was waited for.

        Args:
            take: returns what the browser shows; None: that wasn't it.
        """
        while True:
            query, shown = await self._come.get()
            try:
                told = await take(query)
            except BaseException as error:
                what = getattr(error, "what", "the command was left")
                shown.set_result(Told("Not connected", f"{what}. Go back to the terminal.", 400))
                raise
            shown.set_result(told or Told("Nothing here", "This isn't the answer that is waited for.", 400))
            if told is not None:
                return

    def _put(self, query: dict[str, str]) -> Future[Told]:
        shown: Future[Told] = Future()
        self._loop.call_soon_threadsafe(self._come.put_nowait, (query, shown))
        return shown

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        put = self._put

        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version = "agentflow", ""

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != PATH:
                    self._show(Told("Nothing here", "Look for the terminal.", 404))
                    return
                try:
                    told = put(dict(parse_qsl(parts.query))).result(_LONGEST)
                except (TimeoutError, RuntimeError):
                    told = Told("Nobody waits any more", "The command was left.", 410)
                self._show(told)

            def _show(self, told: Told) -> None:
                body = _PAGE.format(title=escape(told.title), text=escape(told.text)).encode()
                self.send_response(told.status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
                """Write nothing: what is asked for holds a code."""

        return Handler


@contextmanager
def loopback(port: int) -> Generator[Loopback]:
    """Listen on this machine, in a thread, for as long as the block lasts."""
    place = Loopback(port, asyncio.get_running_loop())
    thread = Thread(target=place.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield place
    finally:
        place.server.shutdown()
        place.server.server_close()


async def in_time(seconds: float, work: Awaitable[None]) -> bool:
    """Do some work; False: the time was over first."""
    with anyio.move_on_after(seconds):
        await work
        return True
    return False
