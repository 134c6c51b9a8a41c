"""Right uses of the Python API: `test_typing` has two type checkers read this file. It is never run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import agentflow
from agentflow import Answer, Context, Engine, Run, Workflow, run_sync, step
from agentflow.steps import condition, delay, for_each, native, python, script, set_, switch, wait_for_input


@dataclass
class Report:
    total: float


@step(retry=3, timeout=timedelta(minutes=5))
def score(amount: float) -> float:
    return amount


@step
async def greet(ctx: Context) -> str:
    return str(ctx.input)


def is_big(n: int) -> bool:
    return n > 3


first = score.step(input={"amount": "{input.amount}"})
flow = Workflow(
    id="w",
    input={"amount": "number", "note": "string?"},
    steps=[
        first,
        greet,
        for_each("each", in_="{input.items}", steps=greet, max_parallel=4),
        condition("big", expression=is_big, with_={"n": 3}, if_true=greet, if_false=set_("no", value=1)),
        switch("kind", on="{input.note}", cases={"a": greet, "b": [set_("x", value=2)]}, default=greet),
        python("again", function=score, input={"amount": 3}, depends_on=first),
        wait_for_input("ask", message="Good?", schema=Report),
        delay("later", for_=timedelta(days=1)),
        script("lines", command="wc", args=["-l"], requires=native("shell"), on_error="continue"),
    ],
    output={"total": "{steps.again}"},
)
alone = Workflow(id="alone", steps=greet, finally_=set_("done", value=1))
assert_type(score(3.0), float)


async def main() -> None:
    run = await agentflow.run(flow, {"amount": 3}, output_model=Report, answers={"ask": {"total": 1}})
    assert_type(run, Run[Report])
    assert_type(run.output.total, float)
    plain = await agentflow.run(alone, store="runs.db", check=False)
    assert_type(plain.output, Any)
    async with Engine.open(":memory:", workflows=[flow]) as engine:
        started = await engine.start("w", {"amount": 3})
        assert_type(engine, Engine)
        for wait in await engine.waits(started.id):
            await engine.resume(wait.id, Answer({"total": 3}))
        ended = await engine.wait(started.id)
        assert_type(ended.output_as(Report), Report)


run_sync(main)
assert_type(run_sync(agentflow.run, flow, {"amount": 3}).output, Any)
