"""Who gives a progress token hears what a run is at, while the call waits for it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp import Client

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.errors import NotFoundError
from agentflow_mcp.caller import Caller
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from agentflow_mcp.questions import KEPT, Questions
from agentflow_mcp.telling import telling
from tests.surface_mcp.served import LIMIT

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  steps:
    steps:
      - {id: one, type: checkpoint, message: half of it}
      - {id: two, type: checkpoint, message: all of it}
  asks:
    steps: [{id: s, type: wait_for_input, human_only: true, message: m}]
"""


async def test_what_a_run_says_is_heard_in_order_with_growing_numbers() -> None:
    heard: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "progress")
        async with Client(server, mode="legacy") as client:
            with anyio.fail_after(LIMIT):
                await client.call_tool("steps", {}, progress_callback=hear)
    messages = [message for _, message in heard]
    assert [each for each in messages if each in ("half of it", "all of it")] == ["half of it", "all of it"]
    assert [number for number, _ in heard] == sorted({number for number, _ in heard})


async def test_a_client_hears_which_steps_are_done(client: Client) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    with anyio.fail_after(LIMIT):
        await client.call_tool("noisy", {}, progress_callback=hear)
    assert heard[0] == 'step "noise" is done'


async def test_an_error_while_somebody_is_told_is_told_as_it_is() -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        run = await engine.start("asks")
        with pytest.raises(NotFoundError, match="gone"):
            async with telling(engine, run, Caller(hears=True)):
                raise NotFoundError("gone")


async def test_the_address_of_a_page_stays_the_same_for_a_while() -> None:
    made = list[str]()

    def page(view: Any, principal: Any) -> str:
        made.append(view.id)
        return f"page {len(made)}"

    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        run = await engine.start("asks")
        await engine.wait(run.id, LIMIT)
        [view] = await engine.waits(run.id)
        questions = Questions(engine, page)
        caller = Caller(pages=True)
        for _ in range(3):
            [question] = (await questions.of([view], caller)).values()
            assert question.request.url == "page 1"
        for number in range(KEPT):
            other = Caller(pages=True).principal.__class__(f"owner {number}")
            questions.page_of(view, other)
        [question] = (await questions.of([view], caller)).values()
        assert question.request.url == f"page {KEPT + 2}"
