"""What a user's hooks raise when a dead host's steps are taken over ends nothing either, however often hosts begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow.engine import Answer
from agentflow.steps import set_, step, wait_for_event, wait_for_input
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.registry import register
from agentflow.testing.faults import doom
from tests.engine.hands import Gate
from tests.engine.lab import Lab
from tests.engine.test_hostile_steps import ERRORS, boom, current

pytestmark = pytest.mark.anyio

gates: list[Gate] = []


class Nothing(BaseModel):
    """No fields."""


async def _works(_config: Nothing, ctx: Context) -> Result:
    await ctx.save({"left": "behind"})
    return Result(await gates[-1]())


register(StepType("hostile_reap", Nothing, execute=_works, reap=boom))


@pytest.mark.parametrize("error", ERRORS)
async def test_what_reap_raises_keeps_no_step_from_being_entered_again(lab: Lab, tmp_path: Path, error: str) -> None:
    current[:] = [ERRORS[error]]
    gates[:] = [Gate("done")]
    flow, db = lab.workflow(step("a", "hostile_reap", {})), tmp_path / "runs.db"
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gates[-1].inside()
        doom(engine)
    gates[-1].open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, done.output, gates[-1].entered) == ("completed", "done", 2)


async def test_a_step_that_a_hook_has_failed_stays_failed_over_restarts_and_the_others_go_on(
    lab: Lab, tmp_path: Path
) -> None:
    current[:] = [ERRORS["BaseException"]]
    hostile = lab.workflow(step("a", "hostile_prompt", {}), id="hostile")
    other = lab.workflow(wait_for_input("w", message="?"), set_("done", value=2), id="other")
    db = tmp_path / "runs.db"
    async with lab.open(hostile, other, store=db) as engine:
        failed = await lab.finish(engine, await engine.start("hostile"))
        waits = await engine.start("other")
        doom(engine)
    for _ in range(2):
        async with lab.open(hostile, other, store=db) as engine:
            assert (await lab.look(engine, failed.run.id)).errors == failed.errors
            doom(engine)
    async with lab.open(hostile, other, store=db) as engine:
        await engine.resume(waits.id, Answer("y"))
        assert (await lab.finish(engine, waits)).output == 2


@pytest.mark.parametrize("wanted", ["event.x.y.z == 1", "event.n / 0 == 1", "size(event.n) == 1"])
async def test_an_events_filter_that_fails_on_an_event_lets_it_pass_by(lab: Lab, wanted: str) -> None:
    odd: Any = wait_for_event("w", topic="t", filter=f"{wanted} || event.right == true")
    async with lab.open(lab.workflow(odd)) as engine:
        run = await engine.start("main")
        await engine.wait(run.id)
        assert await engine.publish("t", {"n": 5}) == 0
        assert await engine.publish("t", {"n": 5, "right": True}) == 1
        assert (await lab.finish(engine, run)).state == "completed"
