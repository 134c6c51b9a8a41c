"""Step types as the engine runs them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from pydantic import BaseModel, ConfigDict

from agentflow import Answer, Context, Engine, Park, Result, Run, Workflow, step_type
from agentflow.steps import artifact, checkpoint, external_tool_call, publish, reply, set_, step, wait_for_event
from agentflow.steps.contract import Timer, Wait
from agentflow.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


class PagesConfig(BaseModel):
    """Fields of `pages`."""

    model_config = ConfigDict(extra="forbid")

    pages: int


@step_type("pages", config=PagesConfig)
async def pages(config: PagesConfig, ctx: Context) -> Result | Park:
    """Suspends before each page, and remembers how many it has read."""
    read: int = ctx.state["read"] if ctx.state else 0
    if read == config.pages:
        return Result({"read": read, "attempt": ctx.attempt})
    return Park(Timer(ctx.now() + 10), state={"read": read + 1}, then="enter")


@step_type("asks", config=PagesConfig)
async def asks(config: PagesConfig, ctx: Context) -> Result | Park:
    """Asks and goes on with what arrived."""
    if ctx.state is None:
        return Park(Wait("input", "How many more?"), state={"first": config.pages}, then="enter")
    return Result(ctx.state["first"] + ctx.arrived)


async def ran(*steps: Any, clock: FakeClock | None = None) -> Run:
    """Run steps to the run's end."""
    async with Engine.open(":memory:", clock=clock or FakeClock()) as engine:
        with anyio.fail_after(60):
            run = await engine.start(Workflow(id="w", steps=steps), {})
            async for _ in engine.subscribe(run.id):  # ends with the run
                pass
            return await engine.get(run.id)


@pytest.mark.case("D-WAIT-5")
async def test_a_run_does_not_wait_at_a_checkpoint() -> None:
    run = await ran(checkpoint("here", message="half way"), set_("after", value=1))
    assert (run.state, run.output, run.message) == ("completed", 1, "half way")


@pytest.mark.case("F-N-2")
async def test_a_step_that_suspends_is_entered_again_with_its_state() -> None:
    clock = FakeClock()
    before = clock.now()
    run = await ran(step("read", "pages", {"pages": 3}), clock=clock)
    assert run.output == {"read": 3, "attempt": 1}
    assert clock.now() - before == 30


@pytest.mark.case("F-N-2")
async def test_a_step_that_asked_is_entered_again_with_the_answer() -> None:
    async with Engine.open(":memory:", clock=FakeClock()) as engine:
        with anyio.fail_after(60):
            run = await engine.start(Workflow(id="w", steps=(step("ask", "asks", {"pages": 3}),)), {})
            run = await engine.wait(run.id)
            assert run.state == "input-required"
            await engine.resume(run.id, Answer(4))
            run = await engine.wait(run.id)
    assert (run.state, run.output) == ("completed", 7)


async def test_what_a_step_sends_and_adds_is_in_the_run_s_log() -> None:
    async with Engine.open(":memory:", clock=FakeClock()) as engine:
        with anyio.fail_after(60):
            steps = (reply("hi", text="Hello"), artifact("file", text="abc", name="File"))
            run = await engine.start(Workflow(id="w", steps=steps), {})
            await engine.wait(run.id)
            events = [event async for event in engine.subscribe(run.id)]
    assert [event.step for event in events if event.type == "message"] == ["hi"]
    assert [event.step for event in events if event.type == "artifact"] == ["file"]


async def test_an_event_that_is_published_before_the_wait_is_received() -> None:
    run = await ran(publish("say", topic="t", data={"n": 1}), wait_for_event("hear", topic="t", filter={"n": 1}))
    assert (run.state, run.output) == ("completed", {"n": 1})


async def test_a_wait_takes_its_default_when_nobody_answers_in_time() -> None:
    clock = FakeClock()
    before = clock.now()
    run = await ran(external_tool_call("call", tool_name="t", default={"found": False}, timeout="1h"), clock=clock)
    assert (run.state, run.output) == ("completed", {"found": False})
    assert clock.now() - before == 3600
