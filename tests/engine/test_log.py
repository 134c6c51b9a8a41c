"""A run's log: order, numbers without gaps, and subscribers who miss nothing; events between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agentflow.engine import Event
from agentflow.errors import StepError
from agentflow.steps import delay, parallel, publish, sequence, set_, wait_for_event
from agentflow.steps import workflow as sub
from tests.engine.hands import Fails, Gate, by_hand
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.mark.case("W-E-15", "D-EV-1")
async def test_the_life_of_a_run_is_told_in_order(lab: Lab) -> None:
    done = await lab.run(lab.call("a", lambda: 1), lab.call("b", lambda: 2))
    told = [(event.type, event.step) for event in done.events if event.type != "run_status"]
    assert told == [
        ("run_started", None),
        ("step_started", "a"),
        ("step_completed", "a"),
        ("step_started", "b"),
        ("step_completed", "b"),
        ("run_completed", None),
    ]


@pytest.mark.case("A-28")
async def test_a_retried_step_tells_each_attempt_to_every_subscriber(lab: Lab) -> None:
    flaky = Fails(1)
    a = lab.call("a", flaky, retry={"max_attempts": 2, "base": 2})
    heard: dict[str, list[Event]] = {"one": [], "two": []}
    async with lab.open(lab.workflow(a, set_("b", value=1, if_=False))) as engine:
        run = await engine.start("main")

        async def listen(name: str) -> None:
            heard[name] = [event async for event in engine.subscribe(run.id)]

        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as group:
                group.start_soon(listen, "one")
                group.start_soon(listen, "two")
    told = [(e.type, e.step) for e in heard["one"] if e.type != "run_status"]
    assert told == [
        ("run_started", None),
        ("step_started", "a"),
        ("step_failed", "a"),
        ("step_retrying", "a"),
        ("step_started", "a"),
        ("step_completed", "a"),
        ("step_skipped", "b"),
        ("run_completed", None),
    ]
    data = {event.type: event.data for event in heard["one"]}
    assert data["step_failed"]["will_retry"] is True
    assert data["step_retrying"] == {"attempt": 2, "delay": 2.0}
    assert [e.data["attempt"] for e in heard["one"] if e.type == "step_started"] == [1, 2]
    assert heard["two"] == heard["one"]


@pytest.mark.case("A-28")
async def test_a_slow_or_failing_subscriber_holds_nobody_up(lab: Lab) -> None:
    stuck, failed = anyio.Event(), anyio.Event()
    async with lab.open(lab.workflow(set_("a", value=1), lab.call("b", lambda: 2))) as engine:
        run = await engine.start("main")

        async def slow() -> None:
            async for _ in engine.subscribe(run.id):
                await stuck.wait()

        async def broken() -> None:
            try:
                async for _ in engine.subscribe(run.id):
                    raise ZeroDivisionError
            except ZeroDivisionError:
                failed.set()

        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            group.start_soon(broken)
            done = await lab.finish(engine, run)
            assert done.state == "completed"
            with anyio.fail_after(LIMIT):
                await failed.wait()
            stuck.set()


async def test_numbers_have_no_gaps_and_a_subscriber_goes_on_after_any_of_them(lab: Lab) -> None:
    steps = [sequence(f"box{n}", steps=[lab.call("x", Fails(1), retry=2), set_("y", value=1)]) for n in range(3)]
    async with lab.open(lab.workflow(parallel("all", steps=steps))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert [event.seq for event in done.events] == list(range(1, len(done.events) + 1))
        assert done.run.seq == len(done.events)
        for after in range(len(done.events)):
            with anyio.fail_after(LIMIT):
                rest = [event.seq async for event in engine.subscribe(done.run.id, after)]
            assert rest == list(range(after + 1, len(done.events) + 1))
        bumped = [event.generation for event in done.events if event.generation is not None]
    assert bumped == list(range(1, len(bumped) + 1))


async def test_a_tree_of_runs_is_told_in_commit_order(lab: Lab) -> None:
    child = lab.workflow(set_("inner", value=1), id="child")
    async with lab.open(child, lab.workflow(sub("call", workflow="child"))) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        with anyio.fail_after(LIMIT):
            events = [event async for event in engine.subscribe(run.id, tree=True)]
    positions = [event.pos for event in events]
    assert positions == sorted(set(positions))
    assert [event.type for event in events if event.type.startswith("run_") and event.type != "run_status"] == [
        "run_started",
        "run_started",
        "run_completed",
        "run_completed",
    ]
    assert events[-1].run_id == run.id


async def test_events_carry_no_results_and_steps_can_log_and_tell_progress(lab: Lab) -> None:
    async def work(ctx: Any) -> dict[str, str]:
        ctx.progress(0.5, "half")
        ctx.log("a line")
        return {"big": "secret result"}

    done = await lab.run(lab.call("a", work))
    assert "secret result" not in str([event.data for event in done.events])
    told = {event.type: event.data for event in done.events}
    assert told["step_progress"] == {"fraction": 0.5, "message": "half"}
    assert told["step_log"] == {"text": "a line", "level": "info"}


@pytest.mark.case("W-E-8")
async def test_an_event_that_is_published_later_ends_the_wait_with_its_data(lab: Lab) -> None:
    flow = lab.workflow(
        wait_for_event("paid", topic="payment", filter={"order": 7}), set_("x", value="{steps.paid.sum}")
    )
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert (parked.state, parked.waits[0].kind) == ("input-required", "event")
        assert await engine.publish("payment", {"order": 8, "sum": 1}) == 0
        assert await engine.publish("other", {"order": 7, "sum": 2}) == 0
        assert await engine.publish("payment", {"order": 7, "sum": 3}) == 1
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", 3)


@pytest.mark.case("W-E-8")
async def test_an_event_that_came_before_the_wait_counts_from_the_runs_start_on(lab: Lab) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("first", gate), wait_for_event("paid", topic="payment"))
    async with lab.open(flow) as engine:
        assert await engine.publish("payment", {"sum": 0}) == 0
        lab.clock.advance(10)
        run = await engine.start("main")
        await gate.inside()
        await engine.publish("payment", {"sum": 1})
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, done.output) == ("completed", {"sum": 1})


@pytest.mark.case("W-E-8")
async def test_since_lets_events_from_before_the_runs_start_count(lab: Lab) -> None:
    flow = lab.workflow(wait_for_event("paid", topic="payment", since="1h"))
    async with lab.open(flow) as engine:
        await engine.publish("payment", {"sum": 1})
        lab.clock.advance(600)
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.output) == ("completed", {"sum": 1})


async def test_an_event_goes_to_every_matching_wait_and_its_id_makes_it_count_once(lab: Lab) -> None:
    flow = lab.workflow(wait_for_event("paid", topic="payment", filter="event.sum > 10.0"))
    async with lab.open(flow) as engine:
        runs = [(await lab.finish(engine, await engine.start("main"))).run for _ in range(3)]
        assert await engine.publish("payment", {"sum": 5.0}) == 0
        assert await engine.publish("payment", {"sum": 50.0}, id="e1") == 3
        assert await engine.publish("payment", {"sum": 50.0}, id="e1") == 0
        for run in runs:
            assert (await lab.finish(engine, run)).state == "completed"


async def test_one_run_publishes_and_another_one_goes_on(lab: Lab) -> None:
    hears = lab.workflow(wait_for_event("go", topic="start", filter={"name": "ana"}), id="hears")
    tells = lab.workflow(publish("tell", topic="start", data={"name": "{input.name}"}), id="tells")
    async with lab.open(hears, tells) as engine:
        parked = await lab.finish(engine, await engine.start("hears"))
        told = await lab.finish(engine, await engine.start("tells", {"name": "ana"}))
        done = await lab.finish(engine, parked.run)
        with anyio.fail_after(LIMIT):
            await until(engine, done.run.id, "run_completed")
        done = await lab.look(engine, done.run.id)
    assert (told.output, done.output) == ({"delivered": 1}, {"name": "ana"})


async def test_a_wait_for_an_event_that_never_comes_times_out(lab: Lab) -> None:
    flow = lab.workflow(wait_for_event("paid", topic="payment", timeout="1h", default={"sum": 0}))
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "run_completed")
        done = await lab.look(engine, run.id)
    assert done.output == {"sum": 0}


@pytest.mark.case("W-E-16")
async def test_a_condition_that_fails_fails_the_run_with_its_reason(lab: Lab) -> None:
    done = await lab.run(lab.call("a", lambda: {"n": 1}), set_("b", value=1, if_="steps.a.missing > 3"))
    assert (done.state, done.states["b"]) == ("failed", "failed")
    assert done.run.failure is not None
    assert "steps.a.missing" in done.run.failure.message


@pytest.mark.case("W-E-16", "A-19")
async def test_whatever_a_step_raises_fails_the_step_and_never_hangs_the_run(lab: Lab) -> None:
    class Odd(BaseException):
        def __str__(self) -> str:
            raise ValueError("even its text fails")

    for error in (Odd, SystemExit, KeyboardInterrupt, lambda: StepError("x", code="AF-STEP-FAILED")):
        done = await lab.run(lab.call("a", _raises(error)))
        assert (done.state, done.states["a"]) == ("failed", "failed"), error


def _raises(error: Callable[[], BaseException]) -> Callable[[], Any]:
    async def work() -> None:
        raise error()

    return work


async def test_every_failure_of_a_run_is_listed_and_the_first_one_is_its_failure(lab: Lab) -> None:
    still = by_hand(lab)
    slow = Gate()

    async def late() -> None:
        await slow()
        raise RuntimeError("second")

    steps = still.call("late", late), still.call("early", Fails(error=lambda: RuntimeError("first")))
    async with still.open(still.workflow(*steps, delay("never", for_=5), execution="parallel")) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_failed", "early")
        slow.open()
        done = await still.finish(engine, run)
        row = await engine.store.get_run(run.id)
    assert done.run.failure is not None
    assert (done.run.failure.step, done.states["never"]) == ("early", "canceled")
    assert row is not None
    assert b'"late"' in (row.error or b"")
