"""The worker's side of calls of the test's functions: stand-ins with the same signatures."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict

from agentflow.engine.attempt.context import StepContext
from agentflow.steps.contract import Context, StepType
from agentflow.steps.failing import Asked
from agentflow.steps.functions import ThreadContext
from tests.workers.messages import Callee, Ctx, Setup
from tests.workers.messages import told as sent

FACTS = ("run_id", "workflow_id", "address", "attempt", "tries", "idempotency_key", "values", "arrived", "env")
"""What of a context never changes."""
IN_LOOP = frozenset({"progress", "log", "heartbeat", "message", "status"})
"""What of a context may be called in the loop only."""


class AnyFields(BaseModel):
    """Fields of a step type whose model only the test knows."""

    model_config = ConfigDict(extra="allow")


class Calls:
    """Calls of the test that are going on."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._told: dict[int, Callable[[Any], None]] = {}
        self._gone = False
        self._threads: set[int] = set()
        """Calls that wait in threads, which do themselves what is asked of their contexts."""
        self._answering: set[asyncio.Task[None]] = set()
        self.contexts: dict[int, Any] = {}
        """Of all calls: functions may keep theirs for longer than they should."""

    def take(self, message: Any) -> None:
        """Do what a function of the test asks of its step's context, or give its call what it came to."""
        kind, number, *rest = message
        told = self._told.get(number)
        if told is not None and (kind in ("returned", "raised", "left") or number in self._threads):
            told(message)
        elif kind == "ask":  # perhaps of an attempt that is over
            task = asyncio.create_task(self._answer(number, *rest))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif kind == "told":
            for name, args in rest[0]:
                getattr(self.contexts[number], name)(*args)

    def leave(self) -> None:
        """The test is gone."""
        self._gone = True
        for number, told in list(self._told.items()):
            told(("left", number))

    def _begin(self, target: tuple[str, ...], args: Any, keywords: Any, told: Callable[[Any], None]) -> int:
        number = next(self._numbers)
        given = [*args, *keywords.values()]
        context = next((each for each in given if isinstance(each, StepContext | ThreadContext)), None)
        facts = None
        if context is not None:
            self.contexts[number] = context
            facts = {name: getattr(context, name) for name in FACTS}
        self._told[number] = told
        if self._gone:
            told(("left", number))
        positional = tuple(Ctx() if each is context is not None else each for each in args)
        named = {name: Ctx() if each is context is not None else each for name, each in keywords.items()}
        self._send(("call", number, target, positional, named, facts))
        return number

    async def call(self, target: tuple[str, ...], *args: Any, **keywords: Any) -> Any:
        """Have the test call a function, and do meanwhile what that asks of its context."""
        ended: asyncio.Future[Any] = self._loop.create_future()

        def end(message: Any) -> None:
            if not ended.done():  # it has come to its end just before it was cancelled
                ended.set_result(message)

        number = self._begin(target, args, keywords, end)
        try:
            try:
                message = await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._send(("cancel", number))
                with anyio.CancelScope(shield=True):
                    await ended
                raise
            if message[0] == "left":  # it has cancelled itself
                self.contexts[number].cancel_scope.cancel()
                await anyio.lowlevel.checkpoint()
            return _outcome(message)
        finally:
            self._told.pop(number)

    async def _answer(self, number: int, asked: int, name: str, args: Any, keywords: Any) -> None:
        try:
            value = _asked(self.contexts[number], name, args, keywords)
            self._send(("answer", asked, True, await value if inspect.isawaitable(value) else value))
        except BaseException as error:
            known = name != "call_tool" or isinstance(error, Asked)
            self._send(("answer", asked, False, error if known else sent(error)))

    def call_in_thread(self, target: tuple[str, ...], *args: Any, **keywords: Any) -> Any:
        """Do the same in a thread."""
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        ready: queue.SimpleQueue[int] = queue.SimpleQueue()

        def begin() -> None:
            number = self._begin(target, args, keywords, inbox.put)
            self._threads.add(number)
            ready.put(number)

        self._loop.call_soon_threadsafe(begin)
        number = ready.get()
        try:
            while (message := inbox.get())[0] == "ask":
                _, _, asked, name, given, named = message
                try:
                    answer = ("answer", asked, True, _asked(self.contexts[number], name, given, named))
                except BaseException as error:
                    answer = ("answer", asked, False, error)
                self._loop.call_soon_threadsafe(self._send, answer)
            return _outcome(message)
        finally:
            self._threads.discard(number)
            del self._told[number]


def _asked(context: Any, name: str, args: Any, keywords: Any) -> Any:
    if name == "steps.keys":
        return list(context.steps)
    for part in name.split("."):
        context = getattr(context, part)
    return context if args is None else context(*args, **keywords)


def _outcome(message: Any) -> Any:
    if message[0] == "raised":
        raise message[2]
    return message[2]


def function_of(calls: Calls, target: tuple[str, ...], callee: Callee) -> Callable[..., Any]:
    """Return a function with the signature of one of the test."""

    async def function(*args: Any, **keywords: Any) -> Any:
        return await calls.call(target, *args, **keywords)

    def threaded(*args: Any, **keywords: Any) -> Any:
        return calls.call_in_thread(target, *args, **keywords)

    made: Any = function if callee.asynchronous else threaded
    made.__signature__ = _signature(callee)
    return made


def _signature(callee: Callee) -> Any:
    if callee.parameters is None:
        return "none"  # looking at it fails then
    return inspect.Signature(
        [
            inspect.Parameter(
                each.name,
                each.kind,
                default=None if each.optional else inspect.Parameter.empty,
                annotation=Context if each.name == callee.context else inspect.Parameter.empty,
            )
            for each in callee.parameters
        ]
    )


class Provider:
    """A provider of tools, or an agent, that is an object of the test."""

    def __init__(self, calls: Calls, kind: str, name: str) -> None:
        self._calls = calls
        self._target = (kind, name)

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._calls.call((*self._target, method), *args)


class Tools(Provider):
    """A provider of tools."""

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a tool."""
        return await self._call("call", tool, arguments, ctx)


class Agent(Provider):
    """An agent."""

    async def run(self, turn: Any, ctx: Context) -> Any:
        """Run a turn."""
        return await self._call("run", turn, ctx)

    async def answer(self, turn: Any, state: Any, answer: Any, ctx: Context) -> Any:
        """Go on with a turn."""
        return await self._call("answer", turn, state, answer, ctx)


def provided(calls: Calls, setup: Setup) -> dict[str, dict[str, Any]]:
    """Return stand-ins of the functions, tools and agents of a test."""
    made: dict[str, dict[str, Any]] = {
        kind: {name: function_of(calls, (kind, name), callee) for name, callee in callees.items()}
        for kind, callees in setup.callees.items()
    }
    made["tools"].update({name: Tools(calls, "tools", name) for name in setup.providers["tools"]})
    made["agents"].update({name: Agent(calls, "agents", name) for name in setup.providers["agents"]})
    return made


def types_of(calls: Calls, setup: Setup) -> dict[str, StepType]:
    """Return stand-ins of the test's step types."""
    return {name: _type(calls, name, dict(fields)) for name, fields in setup.types.items()}


def _type(calls: Calls, name: str, fields: dict[str, Any]) -> StepType:
    model = fields.pop("config")

    async def execute(config: BaseModel, ctx: Context) -> Any:
        return await calls.call(("types", name), config.model_dump() if model is None else config, ctx)

    return StepType(name, model or AnyFields, execute=execute, **fields)


class AtOnce:
    """Answers what the test's loop asks of a context at once: that stands still meanwhile, so it is this connection
    that leads to the run's holder."""

    here = threading.local()

    def __init__(self, calls: Calls, loop: asyncio.AbstractEventLoop) -> None:
        self._calls = calls
        self._loop = loop

    def serve(self, read: Callable[[], Any], send: Callable[[Any], None]) -> None:
        """Answer in a thread of its own, until there is nobody any more."""

        def ask(key: str, call: bytes) -> bytes | None:
            send(("port", key, call))
            return read()

        self.here.ask = ask
        while (message := read()) is not None:
            number, name, args, keywords = message
            try:
                send(("answer", True, self._value(number, name, args, keywords)))
            except BaseException as error:
                send(("answer", False, error))

    def _value(self, number: int, name: str, args: Any, keywords: Any) -> Any:
        context = self._calls.contexts[number]
        if name not in IN_LOOP:
            return _asked(context, name, args, keywords)

        async def call() -> Any:
            return getattr(context, name)(*args, **keywords)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)
