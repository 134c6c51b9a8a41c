"""`serve`: an engine for each config, and the server in front of them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

import anyio

from agentflow.cli.console import Console
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.refusals import tell_lost
from agentflow.cli.verdict import tell_broken
from agentflow.errors import AgentflowError, InputError
from agentflow.extras import installing

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.server.run import Listening
    from agentflow.server.surface import Agent


class Listen(NamedTuple):
    """Where to listen."""

    host: str
    port: int
    url: str | None = None
    """Where clients reach it, if not at that address."""
    grpc_port: int | None = None
    """Where to listen for gRPC; None: nowhere."""
    grpc_url: str | None = None
    """Where clients reach that, if not at that port."""


def serve(common: Common, files: Sequence[str], at: Listen, grace: float) -> int:
    """Serve configs until a signal."""
    console = common.console()
    if at.grpc_url is not None and at.grpc_port is None:
        raise InputError(
            "--grpc-url says where clients reach gRPC, and nothing listens to it", code="AF-USAGE",
            hint="add --grpc-port PORT",
        )  # fmt: skip
    projects = [find_project(common._replace(config=name), config="needed") for name in files or (None,)]
    configs = [project.config for project in projects if project.config is not None]
    for config in configs:
        tell_broken(console, config)
    twice = [name for name, count in Counter(config.name for config in configs).items() if count > 1]
    if twice or sum(not config.named for config in configs) > 1:
        raise InputError(
            f'two configs are named "{twice[0]}"' if twice else "two of the configs have no name", code="AF-USAGE",
            hint="give each a `name` of its own: it is part of its URL, and tells whose a run is",
        )  # fmt: skip
    try:
        from agentflow.server.run import (  # noqa: PLC0415  an extra, and for this command only
            Listening,
            bound,
            grpc_at,
            refuse_open,
        )
        from agentflow.server.who import who_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise AgentflowError(
            f'`serve` needs the package "{(error.name or "").partition(".")[0]}"',
            code="AF-INSTALL",
            hint=installing("a2a", "mcp"),
        ) from None
    who = who_of(configs, os.environ)
    refuse_open(at.host, who)
    with bound(at.host, at.port) as listening:
        grpc = None if at.grpc_port is None else grpc_at(at.host, at.grpc_port, at.grpc_url, at.url, who)
        where = Listening(listening, at.url, who, grpc)
        return anyio.run(_serve, console, configs, projects[0].store, where, grace)


async def _serve(console: Console, configs: Sequence[Config], store: str, listening: Listening, grace: float) -> int:
    from agentflow.engine import Engine  # noqa: PLC0415
    from agentflow.server.run import serve as run  # noqa: PLC0415

    def tell(url: str, agents: Sequence[Agent]) -> None:
        _tell(console, url, agents, store)

    engines: list[Engine] = []
    async with AsyncExitStack() as stack:
        for config in configs:
            opening = Engine.open(store, config=config, host="all", grace=grace)
            engines.append(await stack.enter_async_context(opening))
        ended = await run(engines, listening, tell)
        console.say("stopping: running steps get a moment, what isn't done goes on with the next start")
    for engine in engines:
        tell_lost(console, engine)
    return 0 if ended in (0, signal.SIGTERM) else 130


def _tell(console: Console, url: str, agents: Sequence[Agent], store: str) -> None:
    from agentflow.server.surface import surfaces  # noqa: PLC0415

    speaking, off = surfaces()
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
        for line in (line for agent in agents for each in speaking for line in each.example(agent).splitlines()):
            console.result(f"  {line}")
    for each in off:
        console.say(f'not served: {each.name}, which needs the package "{each.package}": {each.hint}')
    console.say("Ctrl+C ends it; what runs goes on with the next start")
