"""What was approved is what runs: whatever makes a new attempt, or another thing of it, is asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import Concurrency, Workflow
from agentflow.engine import Answer, Engine, Run, WaitView
from agentflow.steps import agent_run, parallel, sequence, set_, wait_for_event
from agentflow.steps.contract import AgentAsks, Wait
from agentflow.testing.faults import doom
from tests.engine.asked import Deed, over, questions, rest
from tests.engine.hands import Gate
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

EACH = {"each_attempt": True}


async def told(engine: Engine, run: Run, **answer: Any) -> WaitView:
    """Answer the only question of a run; the next one that it comes to."""
    (wait,) = await questions(engine, run, 1)
    await engine.resume(wait.id, Answer(answer))
    (wait,) = await questions(engine, run, 1)
    return wait


async def died(lab: Lab, store: Path, flow: Workflow, gate: Gate) -> Run:
    """Let a host die while an approved step is at work."""
    async with lab.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        await gate.inside()
        doom(engine)
    gate.open()
    return run


async def test_what_an_operator_has_tried_again_is_a_new_attempt(lab: Lab) -> None:
    deed = Deed(2, allowed=True)
    flow = lab.workflow(lab.call("pay", deed, on_error="suspend", approve=EACH))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        assert (await told(engine, run, decision="approve")).kind == "operator"
        assert (await told(engine, run, action="retry")).details["gate"] == "approve"
    assert len(deed.done) == 1


async def test_what_a_crash_has_broken_off_is_a_new_attempt(lab: Lab, tmp_path: Path) -> None:
    gate = Gate(2)
    flow = lab.workflow(lab.call("pay", gate, approve=EACH))
    store = tmp_path / "runs.db"
    run = await died(lab, store, flow, gate)
    async with lab.open(flow, store=store) as engine:
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["gate"], gate.entered) == ("approve", 1)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert ((await over(engine, run)).state, gate.entered) == ("completed", 2)


async def test_what_a_crash_has_broken_off_goes_on_unasked_where_once_is_enough(lab: Lab, tmp_path: Path) -> None:
    gate = Gate(2)
    flow = lab.workflow(lab.call("pay", gate, approve=True))
    store = tmp_path / "runs.db"
    run = await died(lab, store, flow, gate)
    async with lab.open(flow, store=store) as engine:
        assert ((await over(engine, run)).state, gate.entered) == ("completed", 2)


async def test_what_has_not_happened_is_asked_for_when_it_is_done_again(lab: Lab, tmp_path: Path) -> None:
    gate = Gate(2)
    flow = lab.workflow(lab.call("pay", gate, at_most_once=True, on_interrupted="ask", approve=EACH))
    store = tmp_path / "runs.db"
    run = await died(lab, store, flow, gate)
    async with lab.open(flow, store=store) as engine:
        assert (await told(engine, run, outcome="not_happened")).details["gate"] == "approve"
        assert gate.entered == 1


@pytest.mark.parametrize(("approve", "value"), [(EACH, 1), (True, "{run.feedback}")])
async def test_what_is_sent_back_is_asked_for_when_it_is_a_new_attempt_or_another_thing(
    lab: Lab, approve: Any, value: Any
) -> None:
    deed = Deed(allowed=True)
    flow = lab.workflow(lab.call("pay", deed, input={"value": value}, review=True, approve=approve))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        assert (await told(engine, run, decision="approve")).details["gate"] == "review"
        wait = await told(engine, run, decision="send_back", feedback="less")
        assert (wait.details["gate"], len(deed.done)) == ("approve", 1)
        assert wait.details["would"]["input"] == {"value": "less" if isinstance(value, str) else value}


async def test_what_is_sent_back_may_fail_as_often_as_before(lab: Lab) -> None:
    calls: list[int] = []

    def act() -> int:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the first time of the second round")
        return len(calls)

    flow = lab.workflow(lab.call("pay", act, retry={"max_attempts": 2, "base": 0}, review=True))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        assert (await told(engine, run, decision="send_back", feedback="less")).details["result"] == 3


async def test_steps_of_hooks_and_steps_that_only_compute_are_asked_for_too(lab: Lab) -> None:
    deed = Deed()
    hooked = sequence("s", steps=[set_("a", value=1, approve=True)], on_success=[lab.call("h", deed, approve=True)])
    async with lab.open(lab.workflow(hooked)) as engine:
        run = await engine.start("main", None)
        assert not [step for step in await engine.steps(run.id) if step.state == "completed"]
        assert (await told(engine, run, decision="approve")).step == "s#on_success/h"
        await engine.cancel(run.id)
        await over(engine, run)
    assert deed.done == []


async def test_what_was_changed_when_it_was_approved_counts_after_a_wait_for_a_slot(lab: Lab) -> None:
    deed, gate = Deed(), Gate()
    key = Concurrency(key="one", limit=1)
    asked = {"edit": ["value"]}
    flow = lab.workflow(
        lab.call("first", gate, concurrency=key, execution="parallel"),
        lab.call("pay", deed, input={"value": 1}, concurrency=key, execution="parallel", approve=asked),
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        (wait,) = await engine.waits(run.id)
        await engine.resume(wait.id, Answer({"decision": "edit", "edit": {"value": 7}}))
        assert await engine.waits(run.id) == []
        deed.allowed = True
        gate.open()
        assert (await over(engine, run)).state == "completed"
    assert deed.done == [7]


async def test_what_has_changed_since_it_was_approved_is_asked_for_again(lab: Lab) -> None:
    deed, gate = Deed(), Gate()
    key = Concurrency(key="one", limit=1)
    flow = lab.workflow(
        lab.call("first", gate, concurrency=key, execution="parallel", update={"n": 5}),
        lab.call("pay", deed, input={"value": "{context.n}"}, concurrency=key, execution="parallel", approve=True),
        context={"n": {"default": 1}},
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        (wait,) = await engine.waits(run.id)
        assert wait.details["would"]["input"] == {"value": 1}
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        gate.open()
        (wait,) = await questions(engine, run, 1)
        assert wait.details["would"]["input"] == {"value": 5}
        await engine.resume(wait.id, Answer({"decision": "reject"}))
        assert (await over(engine, run)).state == "failed"
    assert deed.done == []


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_an_agent_that_goes_on_after_an_answer_with_other_fields_is_asked_for_again(
    lab: Lab, decision: str
) -> None:
    heard: list[Any] = []

    async def agent(prompt: Any, answer: Any = None, state: Any = None) -> Any:
        heard.append((prompt, answer, state))
        return "done" if answer else AgentAsks(Wait("input", "Which?"), state="begun")

    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                agent_run("agent", agent="agent", prompt="{context.n}", approve=True),
                sequence("later", steps=[wait_for_event("go", topic="go"), set_("n", value=5, update={"n": 5})]),
            ],
        ),
        context={"n": {"default": 1}},
    )
    async with lab.open(flow, agents={"agent": agent}, skills=("native:agent", "native:python")) as engine:
        run = await engine.start("main", None)
        (wait,) = [each for each in await questions(engine, run, 2) if each.step == "both/agent"]
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        await rest(engine, run)
        await engine.publish("go", {})
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer("this one"))
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["gate"], wait.details["would"]["prompt"]) == ("approve", 5)
        assert heard == [(1, None, None)]
        await engine.resume(wait.id, Answer({"decision": decision}))
        done = await over(engine, run)
    assert heard[1:] == ([(5, "this one", "begun")] if decision == "approve" else [])
    assert done.state == ("completed" if decision == "approve" else "failed")
