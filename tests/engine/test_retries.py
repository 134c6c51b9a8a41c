"""Retrying a step: which failures, how often, after which pause, and what becomes of it in the end."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from agentflow.definition.models import RetryPolicy, Step, Workflow
from agentflow.engine import Answer
from agentflow.engine.plan.retries import backoff, matches, next_delay, should_retry
from agentflow.engine.program import Program
from agentflow.errors import Failure, StepError
from agentflow.steps import registry, sequence, set_
from tests.engine.hands import Fails, Gate, by_hand, same
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


def pauses(policy: RetryPolicy, *tries: int) -> list[float]:
    return [backoff(policy, number) for number in tries]


def planned(step: Step) -> Any:
    program = Program(Workflow(id="w", steps=(step,)), "digest", registry.find)
    return program.root.bodies["steps"].member(0)


@pytest.mark.case("F-RET-1", "A-31")
async def test_pauses_grow_as_the_policy_says_and_stop_at_its_cap() -> None:
    linear = RetryPolicy(backoff="linear", base=0.1, max=1.0)
    assert pauses(linear, 1, 3, 20) == pytest.approx([0.1, 0.3, 1.0])
    assert pauses(RetryPolicy(backoff="linear", base=0.1, max=0.25), 1, 2, 3, 4) == pytest.approx(
        [0.1, 0.2, 0.25, 0.25]
    )
    exponential = RetryPolicy(backoff="exponential", base=0.05, max=0.4)
    assert pauses(exponential, 1, 2, 3, 4, 5, 5000) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.4, 0.4])
    assert pauses(RetryPolicy(backoff="fixed", base=2.0), 1, 2, 99) == [2.0, 2.0, 2.0]


@pytest.mark.case("F-RET-1", "A-31")
async def test_jitter_adds_at_most_what_it_says() -> None:
    step = planned(set_("a", value=1, retry={"backoff": "linear", "base": 0.1, "jitter": 0.025}))
    failure = Failure("AF-X", "x")
    found = [next_delay(step, failure, 2, random.Random(seed)) for seed in range(200)]
    assert 0.2 <= min(found) < max(found) <= 0.225


@pytest.mark.case("F-RET-1")
async def test_the_other_sides_retry_after_is_a_lower_bound() -> None:
    step = planned(set_("a", value=1, retry={"base": 1}))
    assert next_delay(step, Failure("AF-HTTP-STATUS", "x", "http", retry_after=30), 1, random.Random(1)) == 30


@pytest.mark.parametrize(
    ("policy", "asked", "pause"),
    [
        ({"base": 0.1, "max": 1}, 99_999_999_999.0, 1.0),
        ({"base": 0.1, "max": "2h"}, 99_999_999_999.0, 7200.0),
        ({"base": 0.1}, 99_999_999_999.0, 3600.0),
        ({"base": 0.1}, 1800.0, 1800.0),
        ({"base": 0.1, "max": 60}, 30.0, 30.0),
    ],
)
async def test_nobody_postpones_an_attempt_for_longer_than_the_policy_allows(
    policy: dict[str, Any], asked: float, pause: float
) -> None:
    failure = Failure("AF-HTTP-STATUS", "x", "http", retry_after=asked)
    assert next_delay(planned(set_("a", value=1, retry=policy)), failure, 1, random.Random(1)) == pause
    forever = planned(set_("a", value=1, on_error="retry"))
    assert next_delay(forever, failure, 1, random.Random(1)) == min(asked, 3600.0)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        *(
            (1e300, 1e12),
            (float("inf"), 1e12),
            (10**400, 1e12),
            (float("nan"), None),
            (-5, 0.0),
            ("7", 7.0),
            ("x", None),
        ),
        *(([], None), (timedelta(days=1), None), (None, None)),
    ],
)
async def test_a_pause_that_own_code_asks_for_may_be_anything(lab: Lab, asked: Any, seconds: float | None) -> None:
    def busy() -> None:
        raise StepError("busy", retry_after=asked)

    done = await lab.run(lab.call("a", busy, retry={"max_attempts": 2, "base": 0, "max": 0.01}))
    assert (done.state, done.tries["a"]) == ("failed", 2)
    assert done.errors["a"].retry_after == seconds
    told = f"it asks to wait {seconds:,.0f} s" if seconds else None
    assert done.errors["a"].why == told


@pytest.mark.case("F-RET-2")
async def test_a_policy_repeats_only_what_it_names() -> None:
    only_exceptions = RetryPolicy(on=("exception",))
    assert matches(only_exceptions, Failure("AF-STEP-EXCEPTION", "x", "exception"))
    assert not matches(only_exceptions, Failure("AF-TIMEOUT", "x", "timeout"))
    assert matches(RetryPolicy(on=("all",)), Failure("AF-TIMEOUT", "x", "timeout"))
    assert matches(RetryPolicy(on=("AF-TIMEOUT",)), Failure("AF-TIMEOUT", "x", "timeout"))


@pytest.mark.case("F-RET-2")
async def test_what_another_attempt_cannot_mend_is_never_repeated() -> None:
    step = planned(set_("a", value=1, retry={"max_attempts": 3, "on": ["all"]}))
    assert should_retry(step, Failure("AF-X", "x"), 1)
    assert not should_retry(step, Failure("AF-X", "x"), 3)
    for kind in ("invalid", "reference", "skill", "wait", "canceled"):
        assert not should_retry(step, Failure("AF-X", "x", kind), 1)
    assert not should_retry(step, Failure("AF-X", "x", retryable=False), 1)


@pytest.mark.case("F-RET-3", "A-2")
async def test_a_step_that_fails_twice_and_then_works_completes(lab: Lab) -> None:
    flaky = Fails(2, "success")
    done = await lab.run(lab.call("a", flaky, retry={"max_attempts": 3, "backoff": "fixed", "base": 0.01}))
    assert (done.state, done.output, done.tries["a"], flaky.calls) == ("completed", "success", 3, 3)


@pytest.mark.case("A-3", "W-E-9")
async def test_a_step_that_always_fails_is_tried_as_often_as_allowed_and_no_more(lab: Lab) -> None:
    broken = Fails()
    done = await lab.run(lab.call("a", broken, retry=3))
    assert (done.state, done.states["a"], done.tries["a"], broken.calls) == ("failed", "failed", 3, 3)
    once = Fails()
    await lab.run(lab.call("a", once))
    assert once.calls == 1


@pytest.mark.case("W-E-9")
async def test_with_suspend_the_last_failure_opens_an_operators_wait(lab: Lab) -> None:
    """WFE suspends the workflow after its retries; `max 0` that goes on is `on_error: continue`."""
    broken = Fails()
    done = await lab.run(lab.call("a", broken, retry=3, on_error="suspend"))
    assert (done.state, broken.calls, [wait.kind for wait in done.waits]) == ("input-required", 3, ["operator"])
    tolerated = await lab.run(lab.call("a", Fails(), on_error="continue"), set_("b", value=2))
    assert (tolerated.state, tolerated.output) == ("completed", 2)


@pytest.mark.case("A-25", "F-RET-2")
async def test_an_error_that_says_it_is_final_is_not_repeated_and_a_timeout_is(lab: Lab) -> None:
    final = Fails(error=lambda: StepError("no", code="AF-STEP-FAILED", retryable=False))
    done = await lab.run(lab.call("a", final, retry=5))
    assert (done.state, final.calls) == ("failed", 1)
    still = by_hand(lab)
    gate = Gate()
    slow = still.call("a", gate, retry={"max_attempts": 2, "on": ["timeout"], "base": 1}, timeout=10)
    async with still.open(still.workflow(slow)) as engine:
        run = await engine.start("main")
        await gate.inside()
        still.clock.advance(10)
        await until(engine, run.id, "step_retrying")
        await gate.left()
        assert gate.interrupted == 1
        gate.open()
        still.clock.advance(1)
        done = await still.finish(engine, run)
    assert (done.state, done.tries["a"]) == ("completed", 2)


async def test_a_step_that_ran_too_long_is_interrupted_and_fails_as_timed_out(lab: Lab) -> None:
    still = by_hand(lab)
    gate = Gate()
    async with still.open(still.workflow(still.call("a", gate, timeout=10))) as engine:
        run = await engine.start("main")
        await gate.inside()
        still.clock.advance(9)
        assert gate.interrupted == 0
        still.clock.advance(1)
        done = await still.finish(engine, run)
    assert (done.state, done.reasons["a"], done.errors["a"].code) == ("failed", "timeout", "AF-TIMEOUT")
    assert gate.interrupted == 1


@pytest.mark.case("A-26")
async def test_retrying_for_ever_ends_with_success(lab: Lab) -> None:
    flaky = Fails(50, "at last")
    done = await lab.run(lab.call("a", flaky, on_error="retry"))
    assert (done.state, done.output, flaky.calls) == ("completed", "at last", 51)


@pytest.mark.case("A-26", "A-32")
async def test_retrying_for_ever_and_its_pauses_end_with_a_cancel(lab: Lab) -> None:
    still = by_hand(lab)
    broken = Fails()
    async with still.open(still.workflow(still.call("a", broken, on_error="retry"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying")
        await engine.cancel(run.id)
        done = await still.finish(engine, run)
        still.clock.advance(10_000)
        assert await engine.store.next_due() is None
    assert (done.state, done.states["a"], broken.calls) == ("canceled", "canceled", 1)


async def test_retrying_for_ever_ends_with_a_failure_that_nothing_mends(lab: Lab) -> None:
    final = Fails(error=lambda: StepError("no", code="AF-STEP-FAILED", retryable=False))
    done = await lab.run(lab.call("a", final, on_error="retry"))
    assert (done.state, final.calls) == ("failed", 1)


async def test_a_missing_reference_is_not_repeated(lab: Lab) -> None:
    done = await lab.run(
        lab.call("a", lambda: {"there": 1}), lab.call("b", same, input={"n": "{steps.a.not_there}"}, retry=5)
    )
    assert (done.state, done.tries["b"], done.errors["b"].code) == ("failed", 1, "AF-REF-MISSING")


async def test_a_step_in_its_pause_holds_no_slot(lab: Lab) -> None:
    still = by_hand(lab)
    first, second = Fails(1, 1), Fails(0, 2)
    steps = still.call("a", first, retry=2), still.call("b", second)
    async with still.open(still.workflow(*steps, execution="parallel", max_parallel=1)) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "b")
        assert (await engine.get(run.id)).state == "working"
        still.clock.advance(1)
        done = await still.finish(engine, run)
    assert done.state == "completed"


async def test_a_containers_retry_runs_its_steps_again_and_their_attempts_go_on(lab: Lab) -> None:
    first, second = Fails(0, 1), Fails(2, 2)
    box = sequence("box", steps=[lab.call("a", first), lab.call("b", second)], retry=3)
    async with lab.open(lab.workflow(box)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        rows = {row.address: row for row in await engine.steps(done.run.id)}
    assert (done.state, done.output) == ("completed", {"a": 1, "b": 2})
    assert (first.calls, second.calls, rows["box"].tries) == (3, 3, 3)
    assert (rows["box/b"].attempt, rows["box/a"].attempt) == (3, 3)


async def test_a_workflows_default_retry_holds_for_steps_without_one(lab: Lab) -> None:
    flaky, other = Fails(2), Fails()
    steps = lab.call("a", flaky), lab.call("b", other, retry=1)
    done = await lab.run(*steps, defaults={"retry": {"max_attempts": 3}})
    assert (done.states["a"], flaky.calls, other.calls) == ("completed", 3, 1)


async def test_default_retry_is_not_for_steps_that_run_at_most_once(lab: Lab) -> None:
    broken = Fails()
    done = await lab.run(lab.call("a", broken, at_most_once=True), defaults={"retry": {"max_attempts": 3}})
    assert (done.state, broken.calls) == ("failed", 1)


@pytest.mark.parametrize("action", ["retry", "skip", "fail"])
async def test_an_operator_lets_a_suspended_step_be_tried_again_skipped_or_failed(lab: Lab, action: str) -> None:
    flaky = Fails(1, "ok")
    async with lab.open(lab.workflow(lab.call("a", flaky, on_error="suspend"), set_("b", value="{steps.a}"))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert "broken" in parked.waits[0].message
        await engine.resume(parked.run.id, Answer({"action": action}), by="ops")
        done = await lab.finish(engine, parked.run)
    expected = {
        "retry": ("completed", "completed", "ok"),
        "skip": ("completed", "canceled", None),
        "fail": ("failed", "failed", None),
    }
    assert (done.state, done.states["a"], done.output) == expected[action]
    assert done.reasons["a"] == ("operator" if action == "skip" else None)
    assert not done.waits


async def test_an_operators_retry_gives_the_step_all_its_tries_again(lab: Lab) -> None:
    flaky = Fails(3, "ok")
    async with lab.open(lab.workflow(lab.call("a", flaky, retry=2, on_error="suspend"))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert flaky.calls == 2
        await engine.resume(parked.run.id, Answer({"action": "retry"}))
        done = await lab.finish(engine, parked.run)
        (row,) = await engine.steps(done.run.id)
    assert (done.state, flaky.calls, row.tries, row.attempt) == ("completed", 4, 2, 4)


async def test_a_saved_state_is_for_interruptions_and_a_retry_begins_with_none(lab: Lab) -> None:
    states: list[Any] = []

    async def work(ctx: Any) -> None:
        states.append(ctx.state)
        await ctx.save({"reached": len(states)})
        if len(states) < 3:
            raise RuntimeError("broken")

    done = await lab.run(lab.call("a", work, retry=3))
    assert (done.state, states) == ("completed", [None, None, None])


async def test_the_idempotency_key_is_the_same_for_every_attempt_and_differs_between_runs(lab: Lab) -> None:
    keys: list[str] = []

    def work(ctx: Any) -> None:
        keys.append(ctx.idempotency_key)
        if len(keys) % 2:
            raise RuntimeError("broken")

    async with lab.open(lab.workflow(lab.call("a", work, retry=2))) as engine:
        for _ in range(2):
            await lab.finish(engine, await engine.start("main"))
    assert keys[0] == keys[1] != keys[2] == keys[3]


async def test_tries_and_errors_of_every_attempt_are_in_the_log(lab: Lab) -> None:
    flaky = Fails(2)
    async with lab.open(lab.workflow(lab.call("a", flaky, retry={"max_attempts": 3, "base": 2}))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    failed = [event.data for event in done.events if event.type == "step_failed"]
    assert [(data["will_retry"], data["attempt"]) for data in failed] == [(True, 1), (True, 2)]
    assert all("broken" in data["error"]["message"] for data in failed)
    assert [e.data for e in done.events if e.type == "step_retrying"] == [
        {"attempt": 2, "delay": 2.0},
        {"attempt": 3, "delay": 4.0},
    ]


async def test_the_time_of_a_step_is_that_of_all_its_attempts_and_their_pauses(lab: Lab) -> None:
    flow = lab.workflow(lab.call("load", Fails(1), retry={"max_attempts": 2, "base": 5}))
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        row = await engine.store.get_step(done.run.id, "load")
    assert row is not None
    assert (row.state, row.tries) == ("completed", 2)
    assert row.started_at is not None
    assert row.ended_at is not None
    assert row.ended_at - row.started_at >= 5
