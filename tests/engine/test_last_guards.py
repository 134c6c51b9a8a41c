"""What a step's own code raises without a code of its own, and what stops a step behind all questions."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.engine import Answer, Engine, Run, WaitView
from agentflow.errors import AgentflowError, StepError
from agentflow.steps import parallel, sequence, wait_for_event
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


async def test_an_approved_step_that_would_do_something_else_each_time_is_asked_for_three_times_more_and_then_fails(
    lab: Lab,
) -> None:
    def pay(value: int, ctx: Context) -> Any:
        return Park(Wait("input", f"By which account are {value} paid?"), then="enter")

    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                lab.call("pay", pay, input={"value": "{context.price}"}, approve=True),
                sequence(
                    "rises",
                    steps=[wait_for_event(f"r{n}", topic=f"r{n}", update={"price": n}) for n in range(1, 5)],
                ),
            ],
        ),
        context={"price": {"default": 0}},
    )
    async with lab.open(flow) as engine:
        run, prices = await engine.start("main", None), list[int]()
        for n in range(1, 5):
            gate = await _of_pay(engine, run)
            prices.append(gate.details["would"]["input"]["value"])
            await engine.resume(gate.id, Answer({"decision": "approve"}))
            asked = await _of_pay(engine, run)
            assert asked.message == f"By which account are {n - 1} paid?"
            await engine.publish(f"r{n}", {})
            await until(engine, run.id, "step_completed", f"both/rises/r{n}")
            await engine.resume(asked.id, Answer({"value": "main"}))
        ended = await rest(engine, run)
    assert prices == [0, 1, 2, 3]
    assert ended.failure is not None
    assert (ended.state, ended.failure.code) == ("failed", "AF-APPROVAL-CHANGED")


async def _of_pay(engine: Engine, run: Run) -> WaitView:
    found = await questions(engine, run, 2)
    return next(wait for wait in found if wait.step == "both/pay")
