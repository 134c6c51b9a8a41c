"""The surface that `agentflow serve` mounts: MCP over HTTP, at an agent's `/mcp`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import anyio
from starlette.routing import BaseRoute, Route

from agentflow.server.answering import link_to
from agentflow.server.bodies import ROOM
from agentflow.server.surface import Agent, Place
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.entries import over_http
from agentflow_mcp.protocol import make_server
from agentflow_mcp.protocol.http import Endpoint
from agentflow_mcp.reloading import keep_up

HOLD: Final = 45.0
"""Seconds that a call waits for its run, before it gives a handle: clients give calls a minute."""
_NAME: Final = "mcp"


class _Served:
    """One path of an agent."""

    def __init__(self, agent: Agent) -> None:
        self._leaving = agent.leaving
        self._desk = Desk(agent.engine, CONTROLS, HOLD, page=partial(link_to, agent.engine, agent.url))
        server = make_server(self._desk, agent.engine.config.name)
        self.endpoint = Endpoint(server, self._desk, agent.engine.config.limits.input_size * ROOM, tokens=agent.tokens)

    async def keep_up(self) -> None:
        """Take the workflows of a changed config."""
        await keep_up(self._desk)

    async def until_left(self) -> None:
        """Answer who waits, and end what is open, once the server is about to end."""
        await self._leaving.wait()
        self._desk.follower.waiting.let_go()
        await self.endpoint.end()


def routes(agent: Agent, others: Mapping[str, Agent]) -> list[BaseRoute]:
    """Return the routes of an agent: `/mcp`. MCP has no way to name another agent in a request."""
    served = _Served(agent)
    agent.kept.setdefault(_NAME, []).append(served)
    return [Route(path, served.endpoint) for path in ("/mcp", "/mcp/")]


@asynccontextmanager
async def serving(agents: Sequence[Agent]) -> AsyncGenerator[None]:
    """Take requests of clients, and end their streams in good order."""
    all_served: list[_Served] = [served for agent in agents for served in agent.kept[_NAME]]
    async with AsyncExitStack() as stack:
        for served in all_served:
            await stack.enter_async_context(served.endpoint.serving())
        group = await stack.enter_async_context(anyio.create_task_group())
        for served in all_served:
            group.start_soon(served.until_left)
            group.start_soon(served.keep_up)
        yield
        group.cancel_scope.cancel()


def places(agent: Agent) -> list[Place]:
    """Return where an agent is reached, for people."""
    return [Place("MCP", f"{agent.url}/mcp")]


def example(agent: Agent) -> str:
    """Return what makes clients use it, to be pasted."""
    entries = over_http(agent.engine.config.name, f"{agent.url}/mcp", tokens=agent.tokens)
    return "\n".join(str(each) for each in entries)
