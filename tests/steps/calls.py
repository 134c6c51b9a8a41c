"""Calls of api_call to a server of the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, run
from tests.steps.http_server import Answer, Handler, Request, Server, serve

LOCAL = {"private": True}


@dataclass
class Settings:
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@asynccontextmanager
async def serving(handler: Handler, **more: Any) -> AsyncGenerator[tuple[Server, FakeContext]]:
    """Serve, and give a context whose services may reach the server."""
    async with serve(handler) as server:
        settings = Settings(server.url + "/v1", {"X-Service": "ours"})
        services = ProcessServices(http=settings, skills={"native:network": LOCAL}, **more)
        with anyio.fail_after(60):
            yield server, FakeContext(services)
        await services.aclose()


def echo(request: Request) -> Answer:
    return Answer(body={"method": request.method, "target": request.target, "headers": request.headers})


async def failing(config: dict[str, Any], ctx: FakeContext) -> StepError:
    with pytest.raises(StepError) as caught:
        await run("api_call", config, ctx)
    assert caught.value.code in CODES
    return caught.value
