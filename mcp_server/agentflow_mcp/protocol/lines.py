"""Serves one client over two streams."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, cast

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from agentflow_mcp.client.unreadable import error_for
from agentflow_mcp.desk import Desk
from agentflow_mcp.lines import Sink, Source, Target
from agentflow_mcp.protocol.server import make_server
from agentflow_mcp.reloading import keep_up


async def serve_lines(desk: Desk, name: str, source: int, sink: Sink) -> None:
    """Serve one client over two streams, until it goes.

    Args:
        desk: carries calls out.
        name: the server's.
        source: file descriptor of what it says.
        sink: takes what it is told.
    """
    server = make_server(desk, name)
    given = cast("anyio.AsyncFile[str]", Source(source))
    taken = cast("anyio.AsyncFile[str]", Target(sink))
    async with stdio_server(given, taken) as (read, write), anyio.create_task_group() as group:
        group.start_soon(keep_up, desk)
        readable, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        group.start_soon(_sorted_out, read, write, readable)
        await server.run(messages, write, server.create_initialization_options())
        group.cancel_scope.cancel()


async def _sorted_out(read: AsyncIterable[Any], write: Any, readable: MemoryObjectSendStream[Any]) -> None:
    """Pass on what a client says, but for requests that can't be read: these are refused, else it waits for ever."""
    async with readable:
        async for item in read:
            refusal = None
            if isinstance(item, ValidationError):
                refusal = error_for(item, "request", "the request can't be read: it isn't JSON of the protocol")
            if refusal is None:
                await readable.send(item)
            else:
                await write.send(refusal)
