"""The sixty schemas at every door: Python, A2A, MCP, the answer page, the command line and a real terminal."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any, NamedTuple

import anyio
import httpx
import httpx2
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from agentflow import Answer, Engine
from agentflow.config.load import load_text
from agentflow.definition.samples import fits
from agentflow.engine import WaitView
from agentflow.errors import InputError
from agentflow.principal import LOCAL
from agentflow.server import create_app
from agentflow.server.answering import link_to
from tests.forms.table import Case, cases, config_of, few, workflow_of
from tests.surface_a2a.served import request, send, state, text

pytestmark = pytest.mark.anyio
CASES = cases()
BOTH = pytest.mark.parametrize(
    "chosen", [pytest.param(few(CASES)[::4], id="some"), pytest.param(CASES, id="all", marks=pytest.mark.slow)]
)
URL = "http://127.0.0.1:8745"


class Verdict(NamedTuple):
    """What a door says of an answer."""

    taken: bool
    said: str = ""


@dataclass
class Desk:
    """An engine that waits for answers, and what serves it."""

    engine: Engine
    app: Any

    async def waiting(self, case: Case) -> WaitView:
        """Return a new wait with the schema of a case."""
        run = await self.engine.start(workflow_of(case), {})
        await self.engine.wait(run.id, 30)
        [view] = await self.engine.waits(run.id)
        return view


def in_order(value: Any) -> str:
    """Return a value as JSON, in which `true` is no 1, and no order of keys."""
    return json.dumps(value, sort_keys=True)


@asynccontextmanager
async def desk() -> AsyncGenerator[Desk]:
    """Open it."""
    async with Engine.open(":memory:", config=load_text(config_of(CASES[::10]))) as engine:
        app = create_app(engine, url=URL)
        async with app.router.lifespan_context(app):
            yield Desk(engine, app)


async def judged(chosen: list[Case], at: Desk, door: Callable[[Case, WaitView], Awaitable[Verdict]]) -> None:
    """Show that a door takes and refuses what the table says, and leaves a wait open whose answer it refuses."""
    kept: dict[int, WaitView] = {}
    with anyio.fail_after(300):
        for case in chosen:
            view = kept.pop(case.number, None) or await at.waiting(case)
            verdict = await door(case, view)
            assert verdict.taken is not bool(case.told), (case, verdict)
            assert all(problem in verdict.said for problem in case.told), (case, verdict)
            if case.told:
                kept[case.number] = view
            else:
                run = await at.engine.wait(view.run_id, 30)
                assert in_order(run.output) == in_order(case.value), case
        still = {view.id for view in await at.engine.waits()}
        assert {view.id for view in kept.values()} <= still


@BOTH
async def test_in_python(chosen: list[Case]) -> None:
    async with desk() as at:

        async def door(case: Case, view: WaitView) -> Verdict:
            try:
                await at.engine.resume(view.id, Answer(case.value))
            except InputError as error:
                return Verdict(False, error.why or "")
            return Verdict(True)

        await judged(chosen, at, door)


@BOTH
async def test_over_a2a(chosen: list[Case]) -> None:
    async with desk() as at, httpx.AsyncClient(transport=httpx.ASGITransport(at.app), base_url=URL) as http:
        card = await A2ACardResolver(http, URL).get_agent_card()
        async with ClientFactory(ClientConfig(streaming=False, httpx_client=http)).create(card) as client:

            async def door(case: Case, view: WaitView) -> Verdict:
                message = request(taskId=view.id)
                part = message.message.parts.add()
                _set(part.data, case.value)
                task = await send(client, message)
                return Verdict(state(task) == "completed", text(task) if state(task) != "completed" else "")

            await judged(chosen, at, door)


def _set(data: Any, value: Any) -> None:
    from google.protobuf.json_format import ParseDict  # noqa: PLC0415  beside its only use

    ParseDict(value, data)


@BOTH
async def test_over_mcp(chosen: list[Case]) -> None:
    async with (
        desk() as at,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(at.app), base_url=URL, timeout=60) as http,
        Client(streamable_http_client(f"{URL}/mcp", http_client=http), mode="2026-07-28") as client,
    ):

        async def door(case: Case, view: WaitView) -> Verdict:
            done = await client.call_tool("resume_workflow", {"task_id": view.id, "answer": case.value})
            [content] = done.content
            assert isinstance(content, TextContent)
            return Verdict(not done.is_error, content.text)

        await judged([case for case in chosen if not _is_json(case)], at, door)
        assert sum(map(_is_json, CASES)) < 12  # they are taken for what they say, as test_calls shows


def _is_json(case: Case) -> bool:
    """Tell whether a text that doesn't fit would as JSON: models write answers so, and MCP takes them for that."""
    try:
        return bool(case.told) and isinstance(case.value, str) and fits(case.schema, json.loads(case.value))
    except ValueError:
        return False


@BOTH
async def test_on_the_answer_page(chosen: list[Case]) -> None:
    async with desk() as at, httpx.AsyncClient(transport=httpx.ASGITransport(at.app), base_url=URL) as browser:

        async def door(case: Case, view: WaitView) -> Verdict:
            link = link_to(at.engine, URL, view, LOCAL)
            found = re.search(r'name="check" value="([^"]+)"', (await browser.get(link)).text)
            assert found is not None
            form = {"check": found[1], "do": "json", "json": json.dumps(case.value)}
            answered = await browser.post(link, data=form)
            return Verdict(answered.status_code == 303, unescape(answered.text))

        await judged(chosen, at, door)
