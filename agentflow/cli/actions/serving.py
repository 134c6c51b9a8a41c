"""`serve`: an engine that executes all runs, and the server in front of it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from agentflow.cli.console import Console
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.refusals import tell_lost
from agentflow.cli.session import Project, find_project
from agentflow.errors import AgentflowError

if TYPE_CHECKING:
    from agentflow.server.surface import Agent
    from agentflow.server.who import Who


def serve(common: Common, host: str, port: int, grace: float) -> int:
    """Serve a config until a signal."""
    console, project = common.console(), find_project(common, config="needed")
    try:
        from agentflow.server.run import bound, refuse_open  # noqa: PLC0415  an extra, and for this command only
        from agentflow.server.who import who_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise AgentflowError(
            f'`serve` needs the package "{error.name}"',
            code="AF-INSTALL",
            hint='pip install "agentflow-workflows[a2a]"',
        ) from None
    who = who_of([config for config in (project.config,) if config is not None], os.environ)
    refuse_open(host, who)
    with bound(host, port) as listening:
        return anyio.run(_serve, console, project, listening, who, grace)


async def _serve(console: Console, project: Project, listening: socket.socket, who: Who, grace: float) -> int:
    from agentflow.engine import Engine  # noqa: PLC0415
    from agentflow.server.run import serve as run  # noqa: PLC0415

    def tell(url: str, agents: Sequence[Agent]) -> None:
        _tell(console, url, agents, project.store)

    async with Engine.open(project.store, config=project.config, host="all", grace=grace) as engine:
        ended = await run([engine], listening, who, tell)
        console.say("stopping: running steps get a moment, what isn't done goes on with the next start")
    tell_lost(console, engine)
    return 0 if ended in (0, signal.SIGTERM) else 130


def _tell(console: Console, url: str, agents: Sequence[Agent], store: str) -> None:
    from agentflow.server.surface import surfaces  # noqa: PLC0415

    speaking = surfaces()
    if console.mode != "text":
        places = {
            agent.engine.config.name: {p.name: p.url for each in speaking for p in each.places(agent)}
            for agent in agents
        }
        console.line({"url": url, "store": store, "agents": places})
        return
    for agent in agents:
        config = agent.engine.config
        console.result(f"{config.name}: {plural(len(config.workflows), 'workflow')}, runs in {store}")
        for surface in speaking:
            for place in surface.places(agent):
                console.result(f"  {place.name:<14} {place.url}")
    if speaking and agents:
        console.result("try it:")
        console.result(f"  {speaking[0].example(agents[0])}")
    console.say("Ctrl+C ends it; what runs goes on with the next start")
