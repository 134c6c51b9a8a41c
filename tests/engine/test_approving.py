"""`approve`: what is asked, who is asked when, and what becomes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.engine import Answer, RetryPlan, Run
from agentflow.errors import InputError
from agentflow.steps import for_each, parallel, script, set_
from agentflow.testing.clock import FakeClock
from tests.engine.asked import Deed, over, questions, rest
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

HOUR = 3600.0


async def test_it_shows_what_would_be_done_and_who_said_yes_stands_in_the_log(lab: Lab) -> None:
    deed = Deed(allowed=True)
    flow = lab.workflow(
        set_("total", value=40),
        lab.call("pay", deed, input={"value": "{steps.total}"}, approve="Pay {steps.total} euros?"),
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert (wait.message, wait.step, wait.kind) == ("Pay 40 euros?", "pay", "input")
        assert wait.details["gate"] == "approve"
        assert wait.details["type"] == "python"
        assert wait.details["would"]["input"] == {"value": 40}
        assert wait.details["human_only"] is True
        await engine.resume(wait.id, Answer({"decision": "approve", "comment": "ok"}), by="ana", door="web")
        assert (await rest(engine, run)).output == {"value": 40}
        step = next(step for step in await engine.steps(run.id) if step.address == "pay")
    assert (step.state, deed.done) == ("completed", [40])


async def test_secrets_are_not_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-value-of-it")
    flow = lab.workflow(script("say", command="echo", args=["hi"], env={"T": "{env.TOKEN}"}, approve=True))
    async with lab.open(flow, config={"env": ["TOKEN"]}) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert "s3cr3t" not in repr(wait)
        assert wait.details["would"]["args"] == ["hi"]


async def test_only_what_exceeds_a_limit_asks(lab: Lab) -> None:
    deed = Deed(allowed=True)
    pay = lab.call("pay", deed, input={"value": "{item}"}, approve={"if": "{item} > 100"})
    flow = lab.workflow(for_each("all", in_=[5, 500, 50], steps=[pay]))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert (wait.step, sorted(deed.done)) == ("all[1]/pay", [5, 50])
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "completed"


async def test_a_condition_that_cannot_be_read_fails_the_step_and_never_lets_it_run(lab: Lab) -> None:
    deed = Deed()
    flow = lab.workflow(set_("x", value="text"), lab.call("pay", deed, approve={"if": "{steps.x} > 3"}))
    done = await lab.run(*flow.steps)
    assert (done.state, deed.done) == ("failed", [])


@pytest.mark.parametrize(
    ("on_reject", "state", "reason"), [("skip", "completed", "operator"), ("continue", "completed", "tolerated")]
)
async def test_a_rejection_may_skip_the_step_or_go_on(lab: Lab, on_reject: Any, state: str, reason: str) -> None:
    deed = Deed()
    flow = lab.workflow(lab.call("pay", deed, approve={"on_reject": on_reject}), set_("after", value=2))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "reject", "comment": "no"}))
        done = await lab.finish(engine, run)
    assert (done.state, done.output, deed.done) == (state, 2, [])
    done.step("pay").skipped(reason)


async def test_a_timeout_approves_only_where_the_author_says_so(lab: Lab) -> None:
    lab.clock = FakeClock(auto=False)
    deed = Deed(allowed=True)
    flow = lab.workflow(lab.call("pay", deed, approve={"timeout": HOUR, "default": "approve"}))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        await questions(engine, run, 1)
        lab.clock.advance(HOUR + 1)
        assert (await over(engine, run)).state == "completed"
    assert len(deed.done) == 1


async def test_each_attempt_is_asked_for_where_the_author_wants_that(lab: Lab) -> None:
    deed = Deed(2, allowed=True)
    again = {"max_attempts": 3, "base": 0}
    flow = lab.workflow(lab.call("pay", deed, retry=again, approve={"each_attempt": True}))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        for tries in range(3):
            (wait,) = await questions(engine, run, 1)
            assert len(deed.done) == tries
            await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "completed"


async def test_an_answer_that_does_not_fit_leaves_the_question_open(lab: Lab) -> None:
    deed = Deed()
    flow = lab.workflow(
        lab.call("pay", deed, input={"value": 1}, approve={"edit": {"value": {"type": "integer", "maximum": 10}}})
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        for wrong in (
            {"decision": "maybe"}, {"decision": "edit"}, {"decision": "edit", "edit": {"value": 11}},
            {"decision": "edit", "edit": {"other": 1}}, {"decision": "approve", "edit": {"value": 2}}, {}, True,
        ):  # fmt: skip
            with pytest.raises(InputError):
                await engine.resume(wait.id, Answer(wrong))
        with pytest.raises(InputError) as refused:
            await engine.resume(wait.id, Answer({"decision": "approve", "edit": {"value": 2}}))
        assert refused.value.why == "edit: it may not be given here"
        assert deed.done == []
        deed.allowed = True
        await engine.resume(wait.id, Answer({"decision": "edit", "edit": {"value": 9}}))
        assert (await rest(engine, run)).output == {"value": 9}


async def test_it_takes_no_slot_and_counts_in_no_timeout(lab: Lab) -> None:
    deed = Deed(allowed=True)
    flow = lab.workflow(
        parallel("both", max_parallel=1, steps=[set_("other", value=1)]),
        lab.call("pay", deed, timeout=1.0, concurrency={"key": "one", "limit": 1}, approve=True),
    )
    async with lab.open(flow) as engine:
        first, second = await engine.start("main", None), await engine.start("main", None)
        for run in (first, second):
            (wait,) = await questions(engine, run, 1)
            lab.clock.advance(50)
            await engine.resume(wait.id, Answer({"decision": "approve"}))
            assert (await rest(engine, run)).state == "completed"


async def test_a_retry_of_the_run_asks_again_and_says_so(lab: Lab) -> None:
    deed = Deed(1, allowed=True)
    flow = lab.workflow(lab.call("pay", deed, approve=True), set_("after", value=2))
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "failed"
        plan = await engine.retry(run.id, dry_run=True)
        assert isinstance(plan, RetryPlan)
        assert plan.asked == ["pay"]
        again = await engine.retry(run.id)
        assert isinstance(again, Run)
        assert len(deed.done) == 1
        (wait,) = await questions(engine, again, 1)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, again)).state == "completed"
