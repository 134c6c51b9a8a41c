"""`review`, and steps of which nobody knows whether they have worked: what is asked, and what the answers do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import Step, Workflow
from agentflow.engine import Answer, Run
from agentflow.errors import DefinitionError, InputError
from agentflow.steps import saga, sequence, set_, wait_for_input
from agentflow.testing.faults import doom
from tests.engine.asked import Deed, over, questions, rest
from tests.engine.hands import Fails, Gate
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

HOUR = 3600.0


async def test_a_step_that_is_sent_back_reads_what_was_said_and_not_for_ever(lab: Lab) -> None:
    heard: list[Any] = []

    def write(said: Any) -> str:
        heard.append(said)
        return f"draft {len(heard)}"

    flow = lab.workflow(
        lab.call("draft", write, input={"said": "{run.feedback}"}, review={"max_rounds": 2, "edit": True}),
        set_("after", value="{steps.draft} {run.feedback}"),
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        for said in ("shorter", "warmer"):
            (wait,) = await questions(engine, run, 1)
            assert wait.details["result"] == f"draft {len(heard)}"
            await engine.resume(wait.id, Answer({"decision": "send_back", "feedback": said}))
        (wait,) = await questions(engine, run, 1)
        with pytest.raises(InputError):
            await engine.resume(wait.id, Answer({"decision": "send_back", "feedback": "once more"}))
        await engine.resume(wait.id, Answer({"decision": "edit", "result": "my own"}))
        done = await rest(engine, run)
    assert (heard, done.output) == ([None, "shorter", "warmer"], "my own ")


async def test_steps_inside_of_what_is_sent_back_read_it_too(lab: Lab) -> None:
    heard: list[Any] = []

    def write(said: Any) -> str:
        heard.append(said)
        return "x"

    inner = lab.call("do", write, input={"said": "{run.feedback}"})
    async with lab.open(lab.workflow(sequence("both", steps=[inner], review=True))) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert wait.details["result"] == {"do": "x"}
        await engine.resume(wait.id, Answer({"decision": "send_back", "feedback": "again"}))
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "accept"}))
        done = await rest(engine, run)
    assert (heard, done.output) == ([None, "again"], {"do": "x"})


async def test_a_wait_is_approved_before_it_asks_and_its_answer_is_reviewed(lab: Lab) -> None:
    flow = lab.workflow(wait_for_input("name", message="Your name?", approve="Ask for a name?", review=True))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        for said in ({"decision": "approve"}, "Ana", {"decision": "accept"}):
            (wait,) = await questions(engine, run, 1)
            await engine.resume(wait.id, Answer(said))
        assert (await rest(engine, run)).output == "Ana"


async def test_a_paused_run_asks_nothing_until_it_goes_on(lab: Lab, tmp_path: Path) -> None:
    deed, gate = Deed(), Gate()
    flow = lab.workflow(lab.call("first", gate), lab.call("pay", deed, approve=True, delay=5))
    store = tmp_path / "runs.db"
    async with lab.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
    async with lab.open(flow, store=store) as engine:
        lab.clock.advance(10)
        assert await engine.waits(run.id) == []
        await engine.unpause(run.id)
        lab.clock.advance(10)
        await questions(engine, run, 1)
    assert deed.done == []


async def crashed(lab: Lab, store: Path, flow: Workflow, gate: Gate) -> Run:
    """Let a host die while a step of it is at work."""
    async with lab.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        doom(engine)
    gate.open()
    return run


@pytest.mark.parametrize(
    ("said", "state", "output", "entered"),
    [
        ({"outcome": "happened", "result": 5}, "completed", 5, 1),
        ({"outcome": "not_happened"}, "completed", None, 2),
        ({"outcome": "give_up"}, "failed", None, 1),
    ],
)
async def test_an_operator_says_what_has_become_of_a_step_that_was_interrupted(
    lab: Lab, tmp_path: Path, said: Any, state: str, output: Any, entered: int
) -> None:
    gate = Gate(2)
    flow = lab.workflow(lab.call("pay", gate, at_most_once=True, on_interrupted="ask"))
    store = tmp_path / "runs.db"
    run = await crashed(lab, store, flow, gate)
    async with lab.open(flow, store=store) as engine:
        (wait,) = await questions(engine, run, 1)
        assert wait.kind == "operator"
        assert len(wait.details["idempotency_key"]) == 32
        assert wait.details["started_at"] is not None
        await engine.resume(wait.id, Answer(said))
        ended = await over(engine, run)
    assert (ended.state, gate.entered) == (state, entered)
    assert state == "failed" or output is None or ended.output == output


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (lambda: set_("a", value=1, approve={"edit": ["valeu"]}), 'names "valeu"'),
        (lambda: sequence("a", steps=[set_("b", value=1)], approve={"edit": ["value"]}), "nothing of it"),
        (lambda: set_("a", value=1, on_interrupted="ask"), "simply runs again"),
        (lambda: set_("a", value=1, approve="{steps.nope}?"), "nope"),
        (lambda: set_("a", value=1, review={"if": "{steps.nope}"}), "nope"),
        (lambda: set_("a", value=1, review={"schema": {"type": "nope"}}), "nope"),
        (lambda: set_("a", value=1, approve={"on_reject": "explode"}), "on_reject"),
    ],
)
async def test_gates_that_cannot_be_asked_are_refused(lab: Lab, step: Callable[[], Step], match: str) -> None:
    with pytest.raises(DefinitionError, match=match):
        async with lab.open(lab.workflow(step())):
            pass


async def test_a_failure_before_the_question_costs_nothing(lab: Lab) -> None:
    flaky = Fails(1, "x")
    done = await lab.run(lab.call("a", flaky, on_error="continue"), set_("b", value=1, skip_if=True, approve=True))
    assert done.state == "completed"


@pytest.mark.parametrize("on_reject", ["fail", "skip", "continue"])
@pytest.mark.parametrize("kill", [False, True])
async def test_a_saga_undoes_what_a_review_has_refused_and_reads_what_it_had_given(
    lab: Lab, tmp_path: Path, on_reject: str, kill: bool
) -> None:
    undone = Deed(allowed=True)

    def fail() -> None:
        raise RuntimeError("after it")

    pay = lab.call(
        "pay", Deed(allowed=True), input={"value": 7}, review={"on_reject": on_reject},
        compensate=lab.call("undo", undone, input={"value": "{steps.pay.value}"}),
    )  # fmt: skip
    flow = lab.workflow(saga("trip", steps=[pay, lab.call("fails", fail)]))
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        if kill:
            doom(engine)
        else:
            await engine.resume(wait.id, Answer({"decision": "reject"}))
            await over(engine, run)
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        if kill:
            await engine.resume(wait.id, Answer({"decision": "reject"}))
        done = await over(engine, run)
        step = next(step for step in await engine.steps(run.id) if step.address == "trip/pay")
    state = "failed" if on_reject == "fail" else "canceled"
    assert (done.state, undone.done, step.state, step.reason) == ("failed", [7], state, "compensated")


async def test_a_cancel_undoes_in_a_saga_what_still_waits_for_its_review(lab: Lab) -> None:
    undone = Deed(allowed=True)
    undo = lab.call("undo", undone, input={"value": "{steps.pay.value}"})
    pay = lab.call("pay", Deed(allowed=True), input={"value": 7}, review=True, compensate=undo)
    async with lab.open(lab.workflow(saga("trip", steps=[pay]))) as engine:
        run = await engine.start("main", None)
        await questions(engine, run, 1)
        await engine.cancel(run.id)
        assert (await over(engine, run)).state == "canceled"
    assert undone.done == [7]


async def test_nothing_else_reads_what_nobody_has_accepted(lab: Lab) -> None:
    read = Deed(allowed=True)
    hook = lab.call("told", read, input={"value": "{steps.pay?}"})
    flow = lab.workflow(lab.call("pay", Deed(allowed=True), input={"value": 7}, review=True), on_failure=[hook])
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "reject"}))
        assert (await over(engine, run)).state == "failed"
    assert read.done == [None]
