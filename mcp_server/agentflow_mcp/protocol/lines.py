"""Serves one client over two streams."""

from __future__ import annotations

from typing import cast

import anyio
from mcp.server.stdio import stdio_server

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
        await server.run(read, write, server.create_initialization_options())
        group.cancel_scope.cancel()
