"""One worker, as the test sees it: a process that does what comes of its engine, and calls the test's functions."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any

import anyio

from agentflow.redaction import use
from agentflow.steps import registry
from tests.workers.contexts import LoopContext, ThreadsContext
from tests.workers.messages import Callee, Ctx, Setup, Told, framed, read, read_now, told

END = 10.0
"""Seconds within which a worker has to leave what it is at."""


class Hand:
    """A worker that is connected."""

    def __init__(
        self, setup: Setup, given: Mapping[str, Mapping[str, Any]], busy: Callable[[], None],
        called: Callable[[str, bytes], bytes | None],
    ) -> None:  # fmt: skip
        """Know what to tell it.

        Args:
            setup: what it has to know.
            given: functions, tools and agents of the test, by name.
            busy: is called whenever something comes or goes.
            called: has the holder answer what a step reads of its run.
        """
        self._setup = setup
        self._given = given
        self._busy = busy
        self._called = called
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[int, Future[Any]] = {}
        self._numbers = count()
        self._told: list[tuple[int, str, Any]] = []
        self.settled = asyncio.Event()

    async def begin(self, worker: str) -> None:
        """Have a process made that works for the engine."""
        self._loop = asyncio.get_running_loop()
        self._reader, self._writer = await asyncio.open_unix_connection(worker)
        models = (fields["config"] for fields in self._setup.types.values())
        self._writer.write(framed({model.__module__ for model in models if model is not None}))
        self._writer.write(framed(self._setup))
        _, self._pid, path = await read(self._reader)
        self._beside = socket.socket(socket.AF_UNIX)
        self._beside.connect(path)
        self._answers = self._beside.makefile("rb")
        self.reading = asyncio.create_task(self._read())

    def kill(self) -> None:
        """End the process as `kill -9` does; perhaps it is dead already."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    async def end(self) -> None:
        """Let the process go."""
        self.send(("end",))
        with anyio.move_on_after(END):
            await asyncio.wait([self.reading])
        self.reading.cancel()
        await self.leave()

    async def leave(self) -> None:
        """End what the process was at."""
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.wait([self.reading, *self._tasks])
        self._answers.close()
        self._beside.close()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    # what comes and goes

    def send(self, message: Any) -> None:
        """Send something, after what was told before."""
        self._busy()
        if self._told:
            told, self._told = self._told, []
            for call in dict.fromkeys(call for call, *_ in told):
                self.send(("told", call, [one[1:] for one in told if one[0] == call]))
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    async def _read(self) -> None:
        while (message := await read(self._reader)) is not None:
            kind, *rest = message
            if kind == "settled":
                self.settled.set()
                continue
            self._busy()
            if kind == "call":
                self._scopes[rest[0]] = anyio.CancelScope()  # it may be cancelled before it has begun
                task = asyncio.create_task(self._call(*rest))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif kind == "cancel":
                scope = self._scopes.get(rest[0])
                if scope is not None:
                    scope.cancel()
                else:
                    self.send(("left", rest[0]))
            else:
                self._answered(*rest)

    def _answered(self, number: int, well: bool, value: Any) -> None:
        asked = self._asked.pop(number)
        if asked.set_running_or_notify_cancel():
            if isinstance(value, Told):
                value = value.error("AF-TOOL-FAILED")
            asked.set_result(value) if well else asked.set_exception(value)

    # what is asked

    async def ask(self, call: int, name: str, args: Any, keywords: Any) -> Any:
        """Ask something of a step's context."""
        return await asyncio.wrap_future(self._ask(call, name, args, keywords))

    def ask_in_thread(self, call: int, name: str, args: Any, keywords: Any) -> Any:
        """Ask it in a thread."""
        return self._ask(call, name, args, keywords).result()

    def _ask(self, call: int, name: str, args: Any, keywords: Any) -> Future[Any]:
        asked = Future[Any]()
        number = next(self._numbers)
        self._asked[number] = asked
        self._loop.call_soon_threadsafe(self.send, ("ask", call, number, name, args, keywords))
        return asked

    def ask_now(self, call: int, name: str, args: Any = None, keywords: Any = None) -> Any:
        """Ask it while this loop stands still."""
        self._busy()
        self._beside.sendall(framed((call, name, args, keywords)))
        while True:
            kind, *rest = read_now(self._answers)
            if kind == "port":
                self._beside.sendall(framed(self._called(*rest)))
                continue
            well, value = rest
            if not well:
                raise value
            return value

    def tell(self, call: int, name: str, args: Any) -> None:
        """Tell a step's context something, with what comes in the same turn of the loop."""
        if not self._told:
            self._loop.call_soon(self._tell)
        self._told.append((call, name, args))

    def _tell(self) -> None:
        if self._told:
            self.send(("turn", 0))

    # what is called

    def _target(self, kind: str, name: str, method: str = "") -> Callable[..., Any]:
        if kind == "types":
            return _execute(name)
        target = self._given[kind][name]
        return getattr(target, method) if method else target

    async def _call(self, number: int, target: tuple[str, ...], args: Any, keywords: Any, facts: Any) -> None:
        use(self._setup.config.redactor)
        function = self._target(*target)
        scope = self._scopes[number]
        threaded = target[0] != "types" and len(target) == 2 and not Callee.of(function).asynchronous
        context = (ThreadsContext if threaded else LoopContext)(self, number, facts, scope)
        args = [context if isinstance(each, Ctx) else each for each in args]
        keywords = {name: context if isinstance(each, Ctx) else each for name, each in keywords.items()}
        message: Any = ("left", number)
        with scope:
            try:
                value = await (_in_thread(function, args, keywords) if threaded else function(*args, **keywords))
                message = ("returned", number, value)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and (scope.cancel_called or self.reading.done()):
                    raise
                message = ("raised", number, told(error))
        self.send(message)
        del self._scopes[number]


def _execute(name: str) -> Callable[..., Any]:
    spec = registry.find(name)
    assert spec is not None
    assert spec.execute is not None
    execute, model = spec.execute, spec.config

    async def call(config: Any, ctx: Any) -> Any:
        return await execute(model.model_validate(config) if isinstance(config, dict) else config, ctx)

    return call


async def _in_thread(function: Callable[..., Any], args: Any, keywords: Any) -> Any:
    def call() -> Any:
        try:
            return function(*args, **keywords), None
        except BaseException as error:  # futures treat some in ways of their own
            return None, error

    value, error = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    if error is not None:
        raise error
    return await value if inspect.isawaitable(value) else value
