"""The protocol without the SDK in between, for what is asked most: messages, tasks, and streams of their changes.

A task that many follow is told to each of them in the same bytes. What isn't in plain form goes on to the SDK's routes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.errors import AgentflowError
from agentflow.reports import described
from agentflow.server.surface import Agent
from agentflow_a2a import faults, plain
from agentflow_a2a.operations import CALLER, Caller, Operations
from agentflow_a2a.refusals import RefusedError, refusal
from agentflow_a2a.streaming import Told

log = logging.getLogger("agentflow")
VERSION = (b"a2a-version", b"1.0")
"""The header of a request that may be answered here."""
ALIVE = 15.0
"""Seconds after which a stream says that it is still there."""
_EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
RpcFail = Callable[[str | int, RefusedError], dict[str, Any]]
RestFail = Callable[[RefusedError], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Way:
    """How one request is answered."""

    head: bytes
    """What stands before its result, or before each event's."""
    tail: bytes
    media: bytes
    fail: Callable[[RefusedError], tuple[int, dict[str, Any]]]
    """Puts an error into the words of the binding: its status of HTTP, and the answer."""


class Answering:
    """Answers what is in plain form, over whichever binding it has come."""

    def __init__(self, operations: Operations, agent: Agent) -> None:
        """Answer for an agent; when its server is about to end, streams end."""
        self._operations = operations
        self._gate = agent.engine.core.env.gate
        self._leaving = agent.leaving

    async def answer(self, call: plain.Call, way: _Way, caller: Caller, send: Send) -> None:
        """Do an operation, and tell what comes of it."""
        status = 200
        try:
            if call.method == "SendStreamingMessage":
                await self._stream(way, self._operations.stream(call.params, caller), caller, send)
                return
            if call.method == "SubscribeToTask":
                await self._stream(way, self._operations.subscribe(call.params["id"], caller), caller, send)
                return
            body = way.head + await self._result(call, caller) + way.tail
        except Exception as error:
            status, body = self._failed(way, error)
        headers = [(b"content-type", way.media), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _result(self, call: plain.Call, caller: Caller) -> bytes:
        params = call.params
        if call.method == "SendMessage":
            return (await self._operations.send(params, caller)).text
        if call.method == "ListTasks":
            return to_json(await self._operations.list(params, caller))
        if call.method == "CancelTask":
            return to_json(await self._operations.cancel(params["id"], caller))
        return to_json(await self._operations.get(params["id"], params.get("historyLength"), caller))

    def _failed(self, way: _Way, error: Exception) -> tuple[int, bytes]:
        """Return an error as an answer; a fault of ours says nothing of itself but in the log."""
        if isinstance(error, AgentflowError):
            error = refusal(error)
        elif not isinstance(error, RefusedError):
            log.error("a fault of agentflow: %s", self._gate.text(described(error)))
            error = RefusedError("internal", "the server has failed at it")
        status, told = way.fail(error)
        return status, to_json(told)

    async def _stream(self, way: _Way, stream: AsyncGenerator[Told, None], caller: Caller, send: Send) -> None:
        """Tell the events of a stream; raises what is wrong before the first one."""
        async with aclosing(stream) as events:
            first = await anext(events, None)
            await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
            async with anyio.create_task_group() as group:
                for end in (caller.gone, self._leaving.wait):
                    group.start_soon(_until, end, group.cancel_scope)
                group.start_soon(_stay_alive, send)
                await self._tell(way, first, events, send)
                group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, way: _Way, first: Told | None, events: AsyncGenerator[Told, None], send: Send) -> None:
        head, tail = b"data: " + way.head, way.tail + b"\r\n\r\n"
        try:
            if first is not None:
                await send(_event(head, first, tail))
            async for told in events:
                await send(_event(head, told, tail))
        except (AgentflowError, RefusedError) as error:
            body = b"event: error\r\ndata: " + self._failed(way, error)[1] + b"\r\n\r\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})


class DirectRpc:
    """Stands before the SDK's route of JSON-RPC."""

    def __init__(self, answering: Answering, app: ASGIApp, fail: RpcFail) -> None:
        """Answer what is in plain form, leave the rest to `app`; `fail` puts an error into the protocol's words."""
        self._answering = answering
        self._app = app
        self._fail = fail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        asked = await receive()
        call = plain.read(asked["body"]) if VERSION in scope["headers"] else None
        if call is None:
            app = faults.unread(asked["body"], rest=False) or self._app
            await app(scope, _again(asked, receive), send)
            return
        name = call.id
        head = b'{"jsonrpc":"2.0","id":%b,"result":' % to_json(name)
        way = _Way(head, b"}", b"application/json", lambda refused: (200, self._fail(name, refused)))
        await self._answering.answer(call, way, scope[CALLER], send)


class DirectRest:
    """Stands before the SDK's routes of HTTP+JSON."""

    def __init__(self, answering: Answering, app: ASGIApp, fail: RestFail) -> None:
        """Answer what is in plain form, leave the rest to `app`; `fail` puts an error into the protocol's words."""
        self._answering = answering
        self._app = app
        self._way = _Way(b"", b"", b"application/a2a+json", lambda refused: _with_status(fail(refused)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        asked = await receive()
        call: plain.Call | None = None
        if VERSION in scope["headers"]:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            call = plain.read_rest(scope["method"], path, scope["query_string"], asked["body"])
        if call is None:
            app = (faults.unread(asked["body"], rest=True) if asked["body"] else None) or self._app
            await app(scope, _again(asked, receive), send)
            return
        await self._answering.answer(call, self._way, scope[CALLER], send)


def _with_status(told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return told["error"]["code"], told


def _again(message: Message, receive: Receive) -> Receive:
    """Return what gives a message that was taken already, and then what follows it."""
    given = False

    async def take() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return take


async def _until(end: Callable[[], Awaitable[Any]], scope: anyio.CancelScope) -> None:
    """End a stream when something has happened."""
    await end()
    scope.cancel()


async def _stay_alive(send: Send) -> None:
    """Say again and again that there is nothing to say: who is between wouldn't wait for ever."""
    while True:
        await anyio.sleep(ALIVE)
        await send({"type": "http.response.body", "body": b": \r\n\r\n", "more_body": True})


def _event(head: bytes, told: Told, tail: bytes) -> Message:
    number = b"id: %d\r\n" % told.generation if told.generation is not None else b""
    return {"type": "http.response.body", "body": b"%b%b%b%b" % (number, head, told.text, tail), "more_body": True}
