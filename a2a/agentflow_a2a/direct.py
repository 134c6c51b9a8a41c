"""JSON-RPC without the SDK in between, for what is asked most: messages, tasks, and streams of their changes.

A task that many follow is told to each of them in the same bytes. What isn't in plain form goes on to the SDK's routes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.errors import AgentflowError
from agentflow.reports import described
from agentflow.server.surface import Agent
from agentflow_a2a import plain
from agentflow_a2a.operations import CALLER, Caller, Operations
from agentflow_a2a.refusals import RefusedError, refusal
from agentflow_a2a.streaming import Told

log = logging.getLogger("agentflow")
VERSION = (b"a2a-version", b"1.0")
"""The header of a request that may be answered here."""
ALIVE = 15.0
"""Seconds after which a stream says that it is still there."""
_JSON = [(b"content-type", b"application/json")]
_EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
Fail = Callable[[str | int, RefusedError], dict[str, Any]]


class Direct:
    """Stands before the SDK's JSON-RPC route."""

    def __init__(self, operations: Operations, app: ASGIApp, agent: Agent, fail: Fail) -> None:
        """Answer what is in plain form.

        Args:
            operations: of the agent.
            app: the SDK's route, for all else.
            agent: as it is served: when its server is about to end, streams end.
            fail: puts an error into the protocol's words.
        """
        self._operations = operations
        self._app = app
        self._gate = agent.engine.core.env.gate
        self._leaving = agent.leaving
        self._fail = fail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        asked = await receive()
        call = plain.read(asked["body"]) if VERSION in scope["headers"] else None
        if call is None:
            await self._app(scope, _again(asked, receive), send)
            return
        caller: Caller = scope[CALLER]
        try:
            if call.method == "SendStreamingMessage":
                await self._stream(call, self._operations.stream(call.params, caller), caller, send)
                return
            if call.method == "SubscribeToTask":
                await self._stream(call, self._operations.subscribe(call.params["id"], caller), caller, send)
                return
            if call.method == "SendMessage":
                result = (await self._operations.send(call.params, caller)).text
            else:
                result = to_json(
                    await self._operations.get(call.params["id"], call.params.get("historyLength"), caller)
                )
            body = _head(call) + result + b"}"
        except Exception as error:
            body = self._failed(call, error)
        await send({"type": "http.response.start", "status": 200, "headers": [*_JSON, _length(body)]})
        await send({"type": "http.response.body", "body": body})

    def _failed(self, call: plain.Call, error: Exception) -> bytes:
        """Return an error as an answer; a fault of ours says nothing of itself but in the log."""
        if isinstance(error, AgentflowError):
            error = refusal(error)
        elif not isinstance(error, RefusedError):
            log.error("a fault of agentflow: %s", self._gate.text(described(error)))
            error = RefusedError("internal", "the server has failed at it")
        return to_json(self._fail(call.id, error))

    async def _stream(self, call: plain.Call, stream: AsyncGenerator[Told, None], caller: Caller, send: Send) -> None:
        """Tell the events of a stream; raises what is wrong before the first one."""
        async with aclosing(stream) as events:
            first = await anext(events, None)
            await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
            async with anyio.create_task_group() as group:
                for end in (caller.gone, self._leaving.wait):
                    group.start_soon(_until, end, group.cancel_scope)
                group.start_soon(_stay_alive, send)
                await self._tell(call, first, events, send)
                group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, call: plain.Call, first: Told | None, events: AsyncGenerator[Told, None], send: Send) -> None:
        head = b"data: " + _head(call)
        try:
            if first is not None:
                await send(_event(head, first))
            async for told in events:
                await send(_event(head, told))
        except (AgentflowError, RefusedError) as error:
            body = b"event: error\r\ndata: " + self._failed(call, error) + b"\r\n\r\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})


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


def _head(call: plain.Call) -> bytes:
    """Return the beginning of an answer; what follows is its result, and a bracket."""
    return b'{"jsonrpc":"2.0","id":%b,"result":' % to_json(call.id)


def _event(head: bytes, told: Told) -> Message:
    number = b"id: %d\r\n" % told.generation if told.generation is not None else b""
    return {"type": "http.response.body", "body": b"%b%b%b}\r\n\r\n" % (number, head, told.text), "more_body": True}


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
