"""A run that waits tells anew when it waits for something else: who follows it hears of each question."""

from __future__ import annotations

import anyio
import pytest

from agentflow import Answer, Engine, Workflow
from agentflow.steps.constructors import wait_for_input, workflow
from agentflow.steps.constructors_nested import parallel
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio
ASKS_TWICE = Workflow(id="twice", steps=[wait_for_input("first", message="1?"), wait_for_input("second", message="2?")])
BOTH = Workflow(
    id="both",
    steps=[parallel("box", steps=[wait_for_input("left", message="l?"), wait_for_input("right", message="r?")])],
)
ABOVE = Workflow(id="above", steps=[workflow("below", workflow="twice", input={})])


async def _told(engine: Engine, run_id: str) -> list[str]:
    log = await engine.task_log(run_id)
    return [event.data["state"] if event.type == "run_status" else event.type for event in log]


async def test_the_next_question_is_a_change_of_the_run(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(ASKS_TWICE) as engine:
            run = await engine.wait((await engine.start("twice")).id)
            before = run.generation
            await engine.resume(run.id, Answer("one"))
            run = await engine.wait(run.id)
            assert (run.state, run.generation) == ("input-required", before + 1)
            assert run.now_text == "second waits"
            assert await _told(engine, run.id) == ["run_started", "input-required", "input-required"]


async def test_one_question_less_is_a_change_of_the_run(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(BOTH) as engine:
            run = await engine.wait((await engine.start("both")).id)
            left = next(wait for wait in await engine.waits(run.id) if wait.step == "box/left")
            await engine.resume(left.id, Answer(1))
            run = await engine.wait(run.id)
            assert (run.state, run.now_text) == ("input-required", "box/right waits")
            assert (await _told(engine, run.id))[-2:] == ["input-required", "input-required"]


async def test_a_question_of_a_child_run_is_a_change_of_the_run_above(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(ASKS_TWICE, ABOVE) as engine:
            run = await engine.wait((await engine.start("above")).id)
            before = run.generation
            await engine.resume(run.id, Answer("one"))
            run = await engine.wait(run.id)
            assert (run.state, run.generation) == ("input-required", before + 1)


async def test_a_message_sent_again_to_the_run_is_about_the_wait_that_it_has_answered(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(ASKS_TWICE) as engine:
            run = await engine.wait((await engine.start("twice")).id)
            first = await engine.resume(run.id, Answer("one"), message_id="m1")
            await engine.wait(run.id)
            again = await engine.resume(run.id, Answer("one"), message_id="m1")
            assert (again.id, again.step, again.answer) == (first.id, "first", {"value": "one"})
            assert [wait.step for wait in await engine.waits(run.id)] == ["second"]
            assert (await engine.get(run.id)).state == "input-required"
            await engine.resume(run.id, Answer("two"), message_id="m2")
            assert (await engine.wait(run.id)).state == "completed"
            assert (await engine.resume(run.id, Answer("one"), message_id="m1")).id == first.id
