"""What a step's own code raises without a code of its own, and what stops a step behind all questions."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.engine import Answer
from agentflow.errors import AgentflowError, StepError
from agentflow.steps import parallel, wait_for_event
from agentflow.steps.contract import Context, Park, Wait
from tests.engine.asked import questions, rest
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("kind", "code"), [(AgentflowError, "AF-FAILED"), (StepError, "AF-STEP-FAILED")])
async def test_what_a_function_raises_without_a_code_has_that_of_its_kind(
    lab: Lab, kind: type[AgentflowError], code: str
) -> None:
    def refuse() -> None:
        raise kind("the kettle is empty")

    async with lab.open(lab.workflow(lab.call("fill", refuse))) as engine:
        run = await rest(engine, await engine.start("main", None))
    assert run.failure is not None
    assert (run.state, run.failure.code, run.failure.message) == ("failed", code, "the kettle is empty")


async def test_an_approved_step_that_goes_on_with_something_else_than_was_approved_is_stopped(lab: Lab) -> None:
    done: list[int] = []

    async def pay(value: int, ctx: Context) -> Any:
        if ctx.arrived is None:
            return Park(Wait("input", "By which account?"), then="enter")
        done.append(value)
        return value

    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                lab.call("pay", pay, input={"value": "{context.price}"}, approve=True),
                wait_for_event("dearer", topic="dearer", update={"price": 900}),
            ],
        ),
        context={"price": {"default": 9}},
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        gate = next(wait for wait in await questions(engine, run, 2) if wait.step == "both/pay")
        await engine.resume(gate.id, Answer({"decision": "approve"}))
        asked = next(wait for wait in await questions(engine, run, 2) if wait.step == "both/pay")
        assert asked.message == "By which account?"
        await engine.publish("dearer", {})
        await until(engine, run.id, "step_completed", "both/dearer")
        await engine.resume(asked.id, Answer({"value": "main"}))
        ended = await rest(engine, run)
    assert ended.failure is not None
    assert (ended.state, ended.failure.code, done) == ("failed", "AF-APPROVAL-CHANGED", [])
