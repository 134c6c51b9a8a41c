"""The processes in which steps of engine tests are executed: `python -m tests.workers.worker SOCKET` makes them."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from agentflow.clock import SystemClock
from agentflow.config import Config
from agentflow.engine.assembly import services_of
from agentflow.engine.attempt.notes import Later
from agentflow.engine.attempt.ports import Notable, over
from agentflow.engine.exchange import Attempt, Executing, Parcel
from agentflow.engine.runtime.local import LocalRuntime
from agentflow.engine.volume import Volume
from agentflow.errors import StepError
from agentflow.steps import failing, registry
from agentflow.steps.own import OwnTypes
from agentflow.testing.processes.frames import Frame
from agentflow.testing.processes.link import SocketLink
from agentflow.testing.processes.worker import executing, process_of
from tests.workers.calls import AtOnce, Calls, provided, types_of
from tests.workers.messages import ANY_CODE, Setup, Told, framed, read, read_now

LOOK = 1.0
"""Seconds between two looks whether the test still lives."""
_step_error = failing.step_error


def _told_error(error: BaseException, *, code: str = ANY_CODE) -> StepError:
    return error.error(code) if isinstance(error, Told) else _step_error(error, code=code)


def take_told_errors() -> None:
    """Let what a function of the test has raised be that step's error, as if it had been called here."""
    for module in list(sys.modules.values()):
        if getattr(module, "step_error", None) is _step_error:
            setattr(module, "step_error", _told_error)  # noqa: B010  whichever module it is


class SettlingLink(SocketLink):
    """Tells when all is done that was sent over it."""

    settle: Callable[[], None]

    def _do(self, told: Frame) -> None:
        if told.kind == "settle":
            self.settle()
        else:
            super()._do(told)


class Link:
    """The link of the kit; what a thread asks for a loop of the test that stands still goes another way."""

    def __init__(self, link: SocketLink) -> None:
        self._link = link

    def ask(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask at once."""
        there = getattr(AtOnce.here, "ask", None)
        if there is None:
            return self._link.ask(attempt, call)
        answer = there(attempt.key, call)
        if answer is None:
            raise over(attempt)
        return answer

    async def call(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask, and wait for the answer."""
        return await self._link.call(attempt, call)

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """Send what is told."""
        self._link.tell(attempt, told)

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much may be told."""
        return self._link.volume(attempt)

    def begun(self, key: str, lease: Executing) -> None:
        """Note how an attempt is reached."""
        self._link.begun(key, lease)

    def returned(self, key: str, outcome: bytes) -> None:
        """Bring what an attempt came to."""
        self._link.returned(key, outcome)


class Employment:
    """Work for one engine of the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._over = anyio.Event()
        self.calls = Calls(self._send)

    def _send(self, message: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    async def work(self, setup: Setup) -> None:
        """Execute what the engine hands out, until the test ends it."""
        os.environ.clear()
        os.environ.update(setup.environ)
        later, runtime, config = Later(anyio.Event), LocalRuntime[Parcel](), setup.config
        made = provided(self.calls, setup)
        services = services_of(config, made["functions"], made["tools"], made["agents"])
        own, others = types_of(self.calls, setup), OwnTypes(config.folder, config.python_modules)
        slots = config.limits.host_parallel
        link = SettlingLink(Path(setup.socket), slots, config.limits, lambda parcel: runtime.push([parcel]))
        link.settle = self._settle
        process = process_of(config, services, lambda name: own.get(name) or others(name), clock(setup.clock), later)
        reading = asyncio.create_task(self._read())
        try:
            async with executing(process, Link(link), runtime, slots, later):
                link.start()
                await self._over.wait()
        finally:
            link.end()
            reading.cancel()
            with anyio.CancelScope(shield=True):
                await services.aclose()

    async def _read(self) -> None:
        while (message := await read(self._reader)) is not None:
            if message[0] == "end":
                self._over.set()
            else:
                self.calls.take(message)
        self.calls.leave()
        self._over.set()

    def _settle(self) -> None:
        async def settle() -> None:
            await anyio.wait_all_tasks_blocked()
            self._send(("settled",))

        self._settling = asyncio.create_task(settle())


def clock(path: str | None) -> Callable[[], float]:
    """Return the test's clock."""
    if path is None:
        return SystemClock().now

    def now() -> float:
        return struct.unpack("d", Path(path).read_bytes())[0]

    return now


def answer(beside: socket.socket, there: Employment, loop: asyncio.AbstractEventLoop) -> None:
    """Answer what the test asks while its loop stands still."""
    connected, _ = beside.accept()
    with connected, connected.makefile("rb") as stream, suppress(ConnectionError):
        AtOnce(there.calls, loop).serve(lambda: read_now(stream), lambda message: connected.sendall(framed(message)))


async def main(connected: socket.socket) -> None:
    """Work for one engine."""
    reader, writer = await asyncio.open_unix_connection(sock=connected)
    there = Employment(reader, writer)
    setup = await read(reader)
    beside, path = socket.socket(socket.AF_UNIX), f"{setup.socket}.{os.getpid()}"
    beside.bind(path)
    beside.listen()
    threading.Thread(target=answer, args=(beside, there, asyncio.get_running_loop()), daemon=True).start()
    writer.write(framed(("ready", os.getpid(), path)))
    await there.work(setup)
    writer.close()


async def warm() -> None:
    """Import what is imported on first use."""
    services = services_of(Config(), {}, {}, {})
    assert services.http
    await services.aclose()


def serve(path: str) -> None:
    """Make a process for each connection, while the test lives: all that is imported is there already."""
    list(registry.all_types())
    anyio.run(warm)
    take_told_errors()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{path}.new")
    server.listen()
    os.rename(f"{path}.new", path)  # it is asked as soon as it is there
    server.settimeout(LOOK)
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            connected, _ = server.accept()
        except TimeoutError:
            continue
        connected.setblocking(True)
        with connected, connected.makefile("rb", buffering=0) as stream, suppress(ImportError):
            for module in read_now(stream) or ():  # nothing where the test has ended meanwhile
                importlib.import_module(module)
            if os.fork() == 0:
                server.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                anyio.run(main, connected)
                os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
