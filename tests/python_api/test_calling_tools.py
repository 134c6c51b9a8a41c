"""Agents and functions call tools of the config through their context, within what their step may."""

from __future__ import annotations

from typing import Any

import pytest

import agentflow
from agentflow import Context, Engine, RunFailedError, StepError, Workflow, step
from agentflow.steps import agent_run

pytestmark = pytest.mark.anyio
SENT: list[tuple[str, str]] = []


def search(words: str) -> dict[str, list[str]]:
    return {"found": [f"about {words}"]}


def mail(to: str, ctx: Context) -> str:
    SENT.append((to, ctx.idempotency_key))
    return "sent"


async def writer(prompt: str, ctx: Context) -> str:
    found = await ctx.call_tool("search", {"words": prompt})
    return ", ".join(found["found"])


def sync_writer(prompt: str, ctx: Any) -> str:
    return ctx.call_tool("search", {"words": prompt})["found"][0]


@pytest.mark.parametrize("agent", [writer, sync_writer])
async def test_an_agent_calls_the_tools_that_its_step_gives_it(agent: Any) -> None:
    flow = Workflow(id="w", steps=agent_run("write", agent="writer", prompt="cats", tools=["search"]))
    async with Engine.open(":memory:", workflows=flow, agents={"writer": agent}, tools={"search": search}) as engine:
        run = await engine.wait((await engine.start("w")).id)
        assert run.output == {"output": "about cats"}
        told = [str(event.data) async for event in engine.subscribe(run.id)]
    assert any("tool search: answered" in each for each in told)


async def test_an_agent_may_not_call_what_its_step_does_not_give_it() -> None:
    flow = Workflow(id="w", steps=agent_run("write", agent="writer", prompt="cats", tools=["mail"]))
    with pytest.raises(RunFailedError) as caught:
        await agentflow.run(flow, agents={"writer": writer}, tools={"search": search, "mail": mail})
    assert caught.value.code == "AF-TOOL-UNKNOWN"
    assert 'the agent may not call tool "search": its step gives it mail' in str(caught.value)
    assert caught.value.hint == "tools: [search]"


@step(retry=2)
async def letters(ctx: Context) -> str:
    for to in ("ann", "bob"):
        await ctx.call_tool("mail", {"to": to})
    if ctx.attempt == 1:
        raise ConnectionError("down")
    return "done"


async def test_each_call_has_a_key_of_its_own_that_is_the_same_in_every_attempt() -> None:
    SENT.clear()
    flow = Workflow(id="w", steps=letters.step(retry={"max_attempts": 2, "base": 0}))
    assert (await agentflow.run(flow, tools={"mail": mail})).output == "done"
    assert [to for to, _ in SENT] == ["ann", "bob", "ann", "bob"]
    keys = [key for _, key in SENT]
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2


@step
async def careful(ctx: Context) -> str:
    try:
        await ctx.call_tool("serch", {"words": "x"})
    except StepError as error:
        return f"{error.code}: {error.hint}"
    return "found"


async def test_a_tool_that_is_not_there_is_told_with_the_nearest() -> None:
    run = await agentflow.run(Workflow(id="w", steps=careful), tools={"search": search})
    assert run.output == 'AF-TOOL-UNKNOWN: did you mean "search"?'
