"""The app in a program of one's own: what surfaces do while it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.server import app as building
from agentflow.server import create_app
from agentflow.server.surface import Agent, Place, Surfaces

pytestmark = pytest.mark.anyio


@dataclass
class _Counting:
    """A surface that counts while it serves."""

    done: list[str] = field(default_factory=list[str])

    def routes(self, agent: Agent, others: Mapping[str, Agent]) -> Sequence[BaseRoute]:
        async def told(_: Request) -> PlainTextResponse:
            return PlainTextResponse(str(agent.kept.get("serves")))

        return [Route("/told", told)]

    def places(self, agent: Agent) -> Sequence[Place]:
        return []

    def example(self, agent: Agent) -> str:
        return ""

    @asynccontextmanager
    async def serving(self, agents: Sequence[Agent]) -> AsyncGenerator[None]:
        self.done.append("begun")
        for agent in agents:
            agent.kept["serves"] = agent.engine.config.name
        yield
        self.done.append("ended")


async def test_a_surface_does_its_own_work_from_before_the_first_request_to_after_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surface = _Counting()
    monkeypatch.setattr(building, "surfaces", lambda: Surfaces([surface], []))
    config = load_text("name: desk\nworkflows: {hello: {steps: [{id: a, type: set, value: 1}]}}")
    async with Engine.open(":memory:", config=config) as engine:
        app = create_app(engine)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        async with http, app.router.lifespan_context(app):
            assert (await http.get("/told")).text == "desk"
            assert surface.done == ["begun"]
    assert surface.done == ["begun", "ended"]
