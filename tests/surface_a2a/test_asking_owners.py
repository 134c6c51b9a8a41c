"""An agent elsewhere that takes tokens is asked in the name of each run's owner."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentflow import Engine, load_config
from agentflow.principal import Principal
from tests.steps.owners import Owners
from tests.surface_a2a.asking import asking, written
from tests.surface_a2a.test_asking_cards import TIME, Agent, serving

pytestmark = pytest.mark.anyio
ANN, BOB = Principal("ann"), Principal("bob")


class Guarded(Agent):
    """An agent that lets some tokens in."""

    takes = ("Bearer of-ann", "Bearer of-bob")

    async def answer(self, request: Request) -> Response:
        """Answer who may."""
        if request.method == "POST" and request.headers.get("Authorization") not in self.takes:
            return JSONResponse({}, 401)
        return await super().answer(request)


async def test_each_owner_asks_by_himself_and_signs_in_where_the_agent_refuses_it(tmp_path: Path) -> None:
    agent, owners = Guarded(), Owners(ann=["worn", "of-ann"])
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            config = load_config(
                written(tmp_path, asking(url, connection="desk", more="connections: {desk: {client_id: x}}"))
            )
            async with Engine.open(":memory:", config=config, connections={"desk": owners}) as engine:
                hers = await engine.wait((await engine.start("main", principal=ANN)).id, principal=ANN)
                assert hers.output == {"output": "hi"}
                his = await engine.wait((await engine.start("main", principal=BOB)).id, principal=BOB)
                assert his.state == "auth-required"
                owners.tokens["bob"] = ["of-bob"]
                await engine.connections.signed_in("desk", principal=BOB)
                async for _ in engine.subscribe(his.id, principal=BOB):
                    pass
                assert (await engine.get(his.id, principal=BOB)).output == {"output": "hi"}
    sent = [request.headers["Authorization"] for request in agent.asked if request.method == "POST"]
    assert sent == ["Bearer of-ann", "Bearer of-bob"]
