"""Puts the ASGI app together."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from agentflow import __version__
from agentflow.engine import Engine
from agentflow.ids import new_id
from agentflow.server import answering, connecting
from agentflow.server.surface import Agent, Grpc, Serving, Surface, surfaces
from agentflow.server.who import Asking, Who, who_of


def create_app(
    *engines: Engine,
    url: str = "http://127.0.0.1:8745",
    who: Who | None = None,
    leaving: anyio.Event | None = None,
    grpc: Grpc | None = None,
) -> Starlette:
    """Return an ASGI app that serves open engines; close them after it.

    Mounted in another app it needs that one's lifespan: `async with app.router.lifespan_context(app): …`.

    Args:
        engines: one, at the app's root; or several, each below `/agents/{its config's name}`. At the root the first of
            them answers then, or the one that a request names by the protocol's tenant.
        url: where clients reach the app; it stands on cards.
        who: tells who asks; default: by the configs' `auth`, without it only this machine's user.
        leaving: set it when the app is about to end, and who waits for a run is answered at once.
        grpc: where gRPC is listened to as well, while the app's lifespan lasts.
    """
    known = who or who_of([engine.config for engine in engines], os.environ)
    agents, speaking = agents_of(engines, url, known, leaving or anyio.Event(), grpc), surfaces().on
    return Starlette(
        routes=[
            Route("/", _index(agents, speaking)),
            Route("/healthz", _health(new_id())),
            *_routes(agents, speaking, url),
        ],
        middleware=[Middleware(Asking, who=known)],
        lifespan=_lifespan(agents, speaking),
    )


def _lifespan(
    agents: Sequence[Agent], speaking: Sequence[Surface]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for surface in speaking:
                if isinstance(surface, Serving):
                    await stack.enter_async_context(surface.serving(agents))
            for agent in agents:
                await connecting.go_on(agent.engine)
            yield

    return lifespan


def agents_of(
    engines: Sequence[Engine], url: str, who: Who, leaving: anyio.Event, grpc: Grpc | None = None
) -> list[Agent]:
    """Return engines as they are served."""
    base = url.rstrip("/")
    if len(engines) == 1:
        return [Agent(engines[0], base, leaving, who.tokens, grpc)]
    names = [engine.config.name for engine in engines]
    return [
        Agent(engine, f"{base}/agents/{name}", leaving, who.tokens, grpc, name)
        for engine, name in zip(engines, names, strict=True)
    ]


def _routes(agents: Sequence[Agent], speaking: Sequence[Surface], url: str) -> list[BaseRoute]:
    if len(agents) == 1:
        return _of(agents[0], speaking, {})
    base = url.rstrip("/")
    named = {agent.engine.config.name: agent for agent in agents}
    first = replace(agents[0], url=base, tenant="")
    mounts = [Mount(agent.url.removeprefix(base), routes=_of(agent, speaking, {})) for agent in agents]
    return [*mounts, *_of(first, speaking, named)]


def _of(agent: Agent, speaking: Sequence[Surface], named: Mapping[str, Agent]) -> list[BaseRoute]:
    """Return the routes of an agent: of its surfaces, and of the pages where people answer and sign in."""
    return [
        *answering.routes(agent.engine, agent.url),
        *connecting.routes(agent.engine, agent.url),
        *(route for each in speaking for route in each.routes(agent, named)),
    ]


def _index(agents: Sequence[Agent], speaking: Sequence[Surface]) -> Callable[[Request], Awaitable[Response]]:
    """Return what a person reads who opens the server's address: where its doors are."""
    lines = [f"agentflow {__version__}"]
    for agent in agents:
        lines += ["", agent.engine.config.name]
        lines += [f"  {place.name:<14} {place.url}" for each in speaking for place in each.places(agent)]
    lines += ["", "What waits for an answer: agentflow waits", ""]

    async def index(_: Request) -> Response:
        return PlainTextResponse("\n".join(lines))

    return index


def _health(instance: str) -> Callable[[Request], Awaitable[Response]]:
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "instance": instance, "version": __version__})

    return health
