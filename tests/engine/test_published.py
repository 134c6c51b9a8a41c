"""Published events: successive waits of a run tree get successive events, and each owner's runs its own ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Decline, Engine, Run
from agentflow.principal import Principal
from agentflow.steps import (
    delay,
    for_each,
    publish,
    recur,
    sequence,
    set_,
    wait_for_event,
    wait_for_input,
    workflow,
)
from agentflow.store import open_store
from agentflow.store.sqlite.sql import number
from agentflow.testing.faults import dying, fault
from tests.engine.hands import Fails
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio

ANN = Principal("ann")


def hear(name: str, **fields: Any) -> Step:
    """Return a wait that gives up after a while."""
    return wait_for_event(name, topic="orders", timeout="3s", default={"n": "none"}, **fields)


def tell(count: int) -> Step:
    """Return what publishes some events, one after the other."""
    made = publish("tell", topic="orders", data={"n": "{item}"})
    return for_each("burst", in_=list(range(count)), steps=[made], max_parallel=1)


async def ended(engine: Engine, run: Run) -> Run:
    """Return a run once it has ended, whatever it waits for before."""
    with anyio.fail_after(LIMIT):
        async for _ in engine.subscribe(run.id):
            pass
        return await engine.get(run.id)


async def outcome(lab: Lab, *steps: Step, **fields: Any) -> Any:
    """Return the output of a run of some steps."""
    async with lab.open(lab.workflow(*steps, **fields)) as engine:
        return (await ended(engine, await engine.start("main"))).output


def numbers(output: Any) -> list[Any]:
    """Return the numbers of the events that the iterations of a loop heard."""
    return [entry["got"]["n"] for entry in output]


async def test_steps_that_follow_each_other_get_one_event_after_the_other(lab: Lab) -> None:
    output = await outcome(
        lab, tell(2), hear("a"), hear("b"), hear("c"), output=["{steps.a.n}", "{steps.b.n}", "{steps.c.n}"]
    )
    assert output == [0, 1, "none"]


async def test_a_loop_gets_each_event_once(lab: Lab) -> None:
    for loop in (
        for_each("loop", in_=[1, 2, 3], steps=[hear("got")], max_parallel=1),
        recur("loop", interval="1s", max=3, steps=[hear("got")]),
    ):
        output = await outcome(lab, tell(3), loop)
        assert numbers(output) == [0, 1, 2]


async def test_a_loop_gets_events_that_come_one_by_one(lab: Lab) -> None:
    flow = lab.workflow(for_each("loop", in_=[1, 2, 3], steps=[wait_for_event("got", topic="orders")], max_parallel=1))
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        for n in range(3):
            await lab.finish(engine, run)
            assert await engine.publish("orders", {"n": n}) == 1
        done = await lab.finish(engine, run)
    assert numbers(done.output) == [0, 1, 2]


async def test_items_that_wait_together_get_the_same_event(lab: Lab) -> None:
    both = for_each("loop", in_=[1, 2], steps=[hear("got")])
    output = await outcome(lab, tell(2), both, hear("after"), output=["{steps.loop}", "{steps.after.n}"])
    assert numbers(output[0]) == [0, 0]
    assert output[1] == 1


async def test_a_container_that_is_tried_again_gets_the_next_event(lab: Lab) -> None:
    box = sequence(
        "box", steps=[hear("got"), lab.call("flaky", Fails(1))], retry=RetryPolicy(max_attempts=3, base=0.01)
    )
    output = await outcome(lab, tell(3), box, hear("after"), output=["{steps.box.got.n}", "{steps.after.n}"])
    assert output == [1, 2]


async def test_a_wait_that_is_declined_or_timed_out_or_cancelled_takes_nothing(lab: Lab) -> None:
    late = wait_for_event("late", topic="orders", timeout="1s", on_error="continue")
    stopped = sequence("stopped", steps=[wait_for_event("in", topic="orders")], timeout=1, on_error="continue")
    ask = sequence("ask", steps=[wait_for_event("in", topic="orders")], on_error="continue")
    async with lab.open(lab.workflow(late, stopped, ask, tell(1), hear("got"))) as engine:
        run = await engine.start("main")
        asked = await until(engine, run.id, "step_waiting", "ask/in")
        await engine.resume(asked.task_id, Decline("no"))
        run = await ended(engine, run)
    assert (run.state, run.output) == ("completed", {"n": 0})


async def test_sub_workflows_hear_what_came_since_the_start_of_their_root(lab: Lab) -> None:
    child = lab.workflow(hear("got"), id="kid")
    flow = lab.workflow(
        tell(3), delay("nap", for_="5s"), workflow("one", workflow="kid"), hear("two"),
        workflow("three", workflow="kid"),
        output=["{steps.one.n}", "{steps.two.n}", "{steps.three.n}"],
    )  # fmt: skip
    async with lab.open(flow, child) as engine:
        await engine.publish("orders", {"n": "before"})
        run = await engine.start("main")
        run = await ended(engine, run)
    assert run.output == [0, 1, 2]


async def test_since_counts_back_from_the_start_of_the_root(lab: Lab) -> None:
    child = lab.workflow(hear("got", since="1m"), id="kid")
    flow = lab.workflow(
        delay("nap", for_="1h"), workflow("one", workflow="kid"), workflow("two", workflow="kid"),
        output=["{steps.one.n}", "{steps.two.n}"],
    )  # fmt: skip
    async with lab.open(flow, child) as engine:
        for n, pause in enumerate((100, 50, 0)):
            await engine.publish("orders", {"n": n})
            lab.clock.advance(pause)
        run = await engine.start("main")
        run = await ended(engine, run)
    assert run.output == [1, 2]


async def test_a_retried_run_hears_what_comes_after_its_own_start(lab: Lab) -> None:
    flow = lab.workflow(hear("got"), lab.call("flaky", Fails(1)), output="{steps.got.n}")
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        await engine.publish("orders", {"n": 0})
        first = await lab.finish(engine, run)
        assert first.state == "failed"
        again = await engine.retry(run.id, "got")
        assert isinstance(again, Run)
        await engine.publish("orders", {"n": 1})
        with anyio.fail_after(LIMIT):
            run = await ended(engine, again)
    assert (run.state, run.output) == ("completed", 1)


async def test_a_burst_of_a_thousand_events_is_taken_in_order(tmp_path: Path) -> None:
    """The cost of a wait doesn't grow with what was taken before: each looks at the next event only."""
    count = 1000
    loop = for_each("loop", in_="{input.n}", steps=[wait_for_event("got", topic="orders")], max_parallel=1)
    flow = Workflow(id="main", steps=(wait_for_input("go", message="?"), loop))
    store = await open_store(tmp_path / "runs.db", durability="relaxed")
    async with Engine.open(store, workflows=[flow]) as engine:
        with anyio.fail_after(LIMIT):
            run = await engine.start("main", {"n": list(range(count))})
            await engine.wait(run.id)
            for n in range(count):
                await engine.publish("orders", {"n": n})
            await engine.resume(run.id, Answer(1))
            run = await engine.wait(run.id)
    await store.close()
    assert numbers(run.output) == list(range(count))


@pytest.mark.parametrize("nth", range(4, 16, 2))
async def test_a_crash_between_two_waits_loses_no_event_and_repeats_none(lab: Lab, tmp_path: Path, nth: int) -> None:
    flow = lab.workflow(tell(3), for_each("loop", in_=[1, 2, 3, 4], steps=[hear("got")], max_parallel=1))
    store = await open_store(tmp_path / "runs.db", durability="relaxed")
    with fault("after-commit", nth):
        async with dying(lab.open(flow, store=store)) as engine:
            await engine.host.takeover.claim()
            with anyio.move_on_after(LIMIT):
                run = await engine.start("main", {}, idempotency_key="one")
                await engine.wait(run.id)
    await store.close()
    store = await open_store(tmp_path / "runs.db", durability="relaxed")
    async with lab.open(flow, store=store) as engine:
        await engine.host.takeover.claim()
        run = await engine.start("main", {}, idempotency_key="one")
        run = await ended(engine, run)
    await store.close()
    assert numbers(run.output) == [0, 1, 2, "none"]


async def test_two_hosts_hand_out_each_event_once(lab: Lab, tmp_path: Path) -> None:
    loop = for_each("loop", in_=list(range(6)), steps=[wait_for_event("got", topic="orders")], max_parallel=1)
    flow, path = lab.workflow(loop), tmp_path / "runs.db"
    async with lab.open(flow, store=path) as one, lab.open(flow, store=path) as two:
        run = await one.start("main")
        for n in range(6):
            await (one, two)[n % 2].publish("orders", {"n": n})
        run = await ended(one, run)
    assert numbers(run.output) == list(range(6))


async def test_what_waits_have_taken_is_forgotten_with_their_run(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    kid = lab.workflow(hear("got"), id="kid")
    async with lab.open(lab.workflow(tell(1), workflow("w", workflow="kid")), kid, store=path) as engine:
        assert (await lab.finish(engine, await engine.start("main"))).output == {"n": 0}
    store: Any = await open_store(path)
    assert [number(store._database.reader, f"SELECT count(*) FROM {table}") for table in ("taken", "listened")] == [
        0,
        0,
    ]
    await store.close()


async def test_an_owners_event_answers_no_other_owners_wait(lab: Lab) -> None:
    hears = lab.workflow(wait_for_event("e", topic="paid"), id="hears")
    tells = lab.workflow(publish("x", topic="paid", data={"by": "{input.by}"}, event_id="same"), id="tells")
    late = lab.workflow(wait_for_input("go", message="?"), wait_for_event("e", topic="paid", since="1d"), id="late")
    async with lab.open(hears, tells, late) as engine:
        runs = {owner: await engine.start("hears", principal=Principal(owner)) for owner in ("ann", "bob", "local")}
        for run in runs.values():
            await lab.finish(engine, run)
        waiting = await engine.start("late", principal=ANN)
        told = await lab.finish(engine, await engine.start("tells", {"by": "bob"}, principal=Principal("bob")))
        assert told.output == {"delivered": 1}
        states = {owner: (await lab.finish(engine, run)).state for owner, run in runs.items()}
        assert states == {"ann": "input-required", "bob": "completed", "local": "input-required"}
        assert await engine.publish("paid", {"by": "local"}) == 1
        parked = await lab.finish(engine, waiting)
        await engine.resume(parked.waits[0].id, Answer(1))
        assert (await lab.finish(engine, waiting)).state == "input-required"
        assert await engine.publish("paid", {"by": "ann"}, id="same", principal=ANN) == 2
        assert await engine.publish("paid", {"by": "ann"}, id="same", principal=ANN) == 0
        assert (await lab.finish(engine, runs["ann"])).output == {"by": "ann"}
        assert (await lab.finish(engine, waiting)).output == {"by": "ann"}


async def test_sub_workflows_belong_to_the_owner_of_their_root(lab: Lab) -> None:
    kid = lab.workflow(publish("x", topic="paid", data=1), wait_for_event("e", topic="paid"), id="kid")
    async with lab.open(lab.workflow(workflow("w", workflow="kid"), set_("o", value="{steps.w}")), kid) as engine:
        done = await lab.finish(engine, await engine.start("main", principal=ANN))
    assert (done.state, done.output) == ("completed", 1)
