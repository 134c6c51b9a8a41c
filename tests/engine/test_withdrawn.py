"""What a step has begun elsewhere is ended there when the step is over without having got it; answers come whole."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentflow.definition.models import Step
from agentflow.engine import Answer, Decline, Engine, Run
from agentflow.errors import StepError
from agentflow.steps.contract import Context, Outcome, Park, Result, Services, StepType, Timer, Wait
from agentflow.steps.registry import register
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio
withdrawn: list[Any] = []


class Elsewhere(BaseModel):
    """What the step does once it has begun something."""

    then: str = "ask"


async def _execute(config: Elsewhere, ctx: Context) -> Outcome:
    if ctx.state is None:
        await ctx.save({"begun": ctx.tries})
        ctx.log("begun")
        if config.then == "fail":
            raise StepError("no")
        if config.then == "sleep":
            return Park(Timer(ctx.now() + 3600), state=ctx.state, then="enter")
        timeout = 60 if config.then == "ask briefly" else None
        return Park(Wait("input", "?", timeout=timeout), state=ctx.state, then="answer")
    return Result(ctx.arrived)


async def _withdraw(state: Any, services: Services) -> None:
    withdrawn.append(state)


register(StepType("begins_elsewhere", Elsewhere, execute=_execute, withdraw=_withdraw))


def begins(then: str, **common: Any) -> Step:
    """Return a step that begins something elsewhere."""
    return Step(id="a", type="begins_elsewhere", config={"then": then}, **common)


@pytest.fixture(autouse=True)
def _nothing() -> Generator[None]:
    withdrawn.clear()
    yield
    withdrawn.clear()


async def all_withdrawn(count: int) -> None:
    """Wait until something has been withdrawn: a run is seen to be over before that."""
    with anyio.fail_after(LIMIT):
        while len(withdrawn) < count:  # noqa: ASYNC110  nothing tells it
            await anyio.sleep(0.001)


async def asked(engine: Engine, run: Run) -> Run:
    """Wait until a run asks, or is over."""
    with anyio.fail_after(LIMIT):
        return await engine.wait(run.id)


@pytest.mark.parametrize(
    ("answer", "output"), [(Answer({"n": 1}), {"value": {"n": 1}}), (Decline("no time"), {"decline": "no time"})]
)
async def test_an_answer_comes_as_it_was_given_and_nothing_is_withdrawn(
    lab: Lab, answer: Answer | Decline, output: Any
) -> None:
    async with lab.open(lab.workflow(begins("ask"))) as engine:
        run = await asked(engine, await engine.start("main"))
        await engine.resume(run.id, answer)
        done = await lab.finish(engine, run)
        await engine.core.withdrawing.settled()
    assert (done.state, done.output) == ("completed", output)
    assert withdrawn == []


async def test_a_step_that_takes_answers_is_told_that_nobody_has_given_one(lab: Lab) -> None:
    async with lab.open(lab.workflow(begins("ask briefly"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_waiting")
        lab.clock.advance(60)
        await until(engine, run.id, "run_completed")
        done = await lab.finish(engine, run)
        await engine.core.withdrawing.settled()
    assert (done.state, done.output) == ("completed", {"timeout": True})
    assert withdrawn == []


@pytest.mark.parametrize("then", ["ask", "sleep"])
async def test_what_a_parked_step_has_begun_is_withdrawn_when_it_is_cancelled(lab: Lab, then: str) -> None:
    async with lab.open(lab.workflow(begins(then))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_log")
        await engine.cancel(run.id)
        assert (await lab.finish(engine, run)).state == "canceled"
        await all_withdrawn(1)
    assert withdrawn == [{"begun": 1}]


async def test_each_attempt_that_fails_has_its_own_withdrawn(lab: Lab) -> None:
    retry = {"max_attempts": 2, "base": 0}
    async with lab.open(lab.workflow(begins("fail", retry=retry))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        await all_withdrawn(2)
    assert done.state == "failed"
    assert withdrawn == [{"begun": 1}, {"begun": 2}]
