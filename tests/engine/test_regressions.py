"""Defects that were found by reading and are mended: one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Decline
from agentflow.errors import StoreError
from agentflow.steps import delay, for_each, saga, sequence, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.store import open_store
from agentflow.store.rows import RunQuery
from agentflow.testing.faults import doom
from tests.engine.hands import Fails, Gate, by_hand, eventually
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


# workers


async def test_a_step_that_fails_while_the_engine_shuts_down_has_failed_and_nothing_else_has(
    lab: Lab, db: Path
) -> None:
    gate = Gate()

    async def late() -> None:
        await gate()
        raise ValueError("too late")

    flow = lab.workflow(lab.call("a", late))
    async with lab.open(flow, store=db, grace=2.0) as engine:
        run = await engine.start("main")
        await gate.inside()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.shutdown, 2.0)
            while not engine.core.slots.stopping:
                await anyio.lowlevel.checkpoint()
            gate.open()
        assert (await engine.get(run.id)).state == "failed"


async def test_a_step_that_raises_something_else_when_it_is_interrupted_ends_as_interrupted(lab: Lab) -> None:
    began = anyio.Event()

    async def stubborn() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    lab = by_hand(lab)
    async with lab.open(lab.workflow(lab.call("a", stubborn, timeout="1s"))) as engine:
        run = await engine.start("main")
        await began.wait()
        lab.clock.advance(2)
        done = await lab.finish(engine, run)
    assert (done.state, done.errors["a"].code) == ("failed", "AF-TIMEOUT")


async def test_cancelling_the_code_around_an_engine_leaves_its_running_steps_to_the_next_host(
    lab: Lab, db: Path
) -> None:
    gate = Gate("done")
    flow = lab.workflow(lab.call("a", gate))
    run_id = ""
    with anyio.CancelScope() as scope:
        async with lab.open(flow, store=db) as engine:
            run_id = (await engine.start("main")).id
            await gate.inside()
            scope.cancel()
            await anyio.sleep_forever()
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run_id))
    assert (done.state, done.output) == ("completed", "done")


async def test_a_run_that_cannot_be_read_keeps_no_other_run_from_going_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(":memory:")
    waits = lab.workflow(wait_for_input("ask", message="?"))
    async with lab.open(waits, lab.workflow(set_("a", value=1), id="other"), store=store) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        engine.core.env.catalog.forget(run.run.definition)
        read = store.get_definition

        async def lost(digest: str) -> bytes | None:
            return None if digest == run.run.definition else await read(digest)

        monkeypatch.setattr(store, "get_definition", lost)
        with anyio.fail_after(LIMIT):
            with pytest.raises(StoreError):
                await engine.resume(run.waits[0].id, Answer(1))
            done = await lab.finish(engine, await engine.start("other"))
        assert done.state == "completed"


async def test_a_store_that_cannot_be_read_for_a_moment_costs_no_step_its_result(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(":memory:")
    flow = lab.workflow(wait_for_input("ask", message="?"), set_("b", value="{steps.ask}"))
    async with lab.open(flow, store=store) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        load, broken = store.load, [True]

        async def failing(root: int) -> Any:
            if broken.pop() if broken else False:
                raise StoreError("the disk is away")
            return await load(root)

        monkeypatch.setattr(store, "load", failing)
        with anyio.fail_after(LIMIT):
            await engine.resume(done.waits[0].id, Answer(1))
            done = await lab.finish(engine, done.run)
        assert done.output == 1


async def test_slots_are_free_again_after_a_tree_was_lost(lab: Lab) -> None:
    store, gate, stuck = await open_store(":memory:"), Gate(), Gate()
    flow = lab.workflow(lab.call("a", gate, execution="parallel"), lab.call("b", stuck, execution="parallel"))
    async with lab.open(flow, store=store) as engine:
        await engine.start("main")
        await gate.inside()
        await stuck.inside()
        holder, store.holder = store.holder, "somebody else"
        for root in engine.core.cache.trees:
            assert await store.acquire(root, [holder])
        store.holder = holder
        gate.open()
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        assert (engine.core.slots.running, stuck.interrupted) == (0, 1)


async def test_two_starts_with_one_key_at_the_same_time_are_one_run(lab: Lab) -> None:
    found: list[str] = []
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:

        async def start() -> None:
            found.append((await engine.start("main", idempotency_key="k")).id)

        async with anyio.create_task_group() as group:
            group.start_soon(start)
            group.start_soon(start)
        assert len(set(found)) == 1


# times


async def test_a_retry_that_is_due_while_all_slots_are_taken_survives_the_host(lab: Lab, db: Path) -> None:
    lab = by_hand(lab)
    gate, flaky = Gate(), Fails(1)
    flow = lab.workflow(
        lab.call("x", flaky, retry={"max_attempts": 2, "backoff": "fixed", "base": 1}, execution="parallel"),
        lab.call("y", gate, execution="parallel"),
        max_parallel=1,
    )
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        lab.clock.advance(2)
        await eventually(lambda: _none_due(engine))
        doom(engine)
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, flaky.calls, done.tries["x"]) == ("completed", 2, 2)


async def _none_due(engine: Any) -> bool:
    return await engine.store.next_due() is None


async def test_a_delayed_step_that_is_due_while_all_slots_are_taken_survives_the_host(lab: Lab, db: Path) -> None:
    lab = by_hand(lab)
    gate, late = Gate(), Fails(0)
    flow = lab.workflow(
        lab.call("x", late, delay="1s", execution="parallel"), lab.call("y", gate, execution="parallel"), max_parallel=1
    )
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        lab.clock.advance(2)
        await eventually(lambda: _none_due(engine))
        doom(engine)
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, late.calls, done.tries["x"]) == ("completed", 1, 1)


async def test_a_delayed_container_starts_nothing_before_its_time_after_a_restart(lab: Lab, db: Path) -> None:
    lab = by_hand(lab)
    inside = Fails(0)
    flow = lab.workflow(sequence("box", steps=[lab.call("x", inside)], delay="1h"))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
    async with lab.open(flow, store=db) as engine:
        await engine.pause(run.id)
        await engine.unpause(run.id)
        await engine.core.idle()
        assert inside.calls == 0
        lab.clock.advance(3601)
        done = await lab.finish(engine, run)
    assert (done.state, inside.calls, done.tries["box/x"]) == ("completed", 1, 1)


async def test_an_idle_host_fires_the_timers_of_a_run_that_it_takes_over(lab: Lab, db: Path) -> None:
    lab = by_hand(lab)
    flow = lab.workflow(delay("nap", for_="3s"))
    async with lab.open(flow, store=db) as other:
        async with lab.open(flow, store=db, host="own") as engine:
            run = await engine.start("main")
            doom(engine)
        await eventually(lambda: _held_by(other, run.id))
        await other.core.idle()
        lab.clock.advance(60)
        done = await lab.finish(other, run)
    assert done.state == "completed"


async def _held_by(engine: Any, run_id: str) -> bool:
    await anyio.sleep(0.05)
    row = await engine.store.get_run(run_id)
    return row.holder in {engine.store.holder, None}


async def test_an_idle_host_fires_the_timers_of_a_run_that_another_host_let_go(lab: Lab, db: Path) -> None:
    lab = by_hand(lab)
    flow = lab.workflow(delay("nap", for_="1h"))
    async with lab.open(flow, store=db) as other:
        async with lab.open(flow, store=db, host="own") as engine:
            run = await engine.start("main")
            await eventually(lambda: _held_by(engine, run.id))
        await anyio.sleep(0.6)
        lab.clock.advance(3700)
        done = await lab.finish(other, run)
    assert done.state == "completed"


async def test_a_step_in_back_off_holds_no_slot_of_its_key(lab: Lab) -> None:
    lab = by_hand(lab)
    limit = {"key": "k", "limit": 1}
    flow = lab.workflow(
        lab.call("x", Fails(1), retry={"max_attempts": 2, "base": 100}, concurrency=limit, execution="parallel"),
        lab.call("y", Fails(0), concurrency=limit, execution="parallel"),
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "y")


# waits


async def test_an_operator_has_all_the_time_in_the_world(lab: Lab) -> None:
    lab = by_hand(lab)
    async with lab.open(lab.workflow(wait_for_input("ask", message="?", timeout="10s", on_error="suspend"))) as engine:
        run = await engine.start("main")
        lab.clock.advance(20)
        await until(engine, run.id, "step_failed")
        await engine.core.idle()
        done = await lab.look(engine, run.id)
    assert [wait.kind for wait in done.waits] == ["operator"]
    assert done.waits[0].expires_at is None


async def test_an_operator_who_declines_fails_the_step(lab: Lab) -> None:
    async with lab.open(lab.workflow(lab.call("a", Fails(), on_error="suspend"))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        await engine.resume(done.waits[0].id, Decline("no"))
        assert (await lab.finish(engine, done.run)).state == "failed"


# pause and cancel


async def test_a_paused_run_that_is_cancelled_undoes_its_saga(lab: Lab) -> None:
    undone = Fails(0)
    pay = lab.call("pay", Fails(0), compensate=[lab.call("u1", Fails(0)), lab.call("u2", undone)])
    async with lab.open(lab.workflow(saga("trip", steps=[pay, wait_for_input("ask", message="?")]))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        await engine.pause(done.run.id)
        await engine.cancel(done.run.id)
        done = await lab.finish(engine, done.run)
    assert (done.state, undone.calls) == ("canceled", 1)


async def test_nothing_of_a_child_run_starts_while_its_parent_is_paused(lab: Lab) -> None:
    gate, inside = Gate(), Fails(0)
    child = lab.workflow(lab.call("x", inside), id="child")
    flow = lab.workflow(lab.call("a", gate), sub("b", workflow="child"))
    async with lab.open(flow, child) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "a")
        await engine.core.idle()
        assert inside.calls == 0
        await engine.unpause(run.id)
        assert (await lab.finish(engine, run)).state == "completed"


async def test_cancelling_a_run_that_nobody_has_begun_starts_nothing_of_it(lab: Lab) -> None:
    store = await open_store(":memory:")
    child = lab.workflow(wait_for_input("ask", message="?"), id="child")
    flow = lab.workflow(sub("b", workflow="child"))
    async with lab.open(flow, child, store=store, host="none") as engine:
        run = await engine.start("main")
        await engine.cancel(run.id)
    async with lab.open(flow, child, store=store) as engine:
        done = await lab.finish(engine, run)
        assert done.state == "canceled"
        assert await engine.list(RunQuery(parent=run.id)) == []


# looking


async def test_following_a_run_that_has_ended_ends(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        with anyio.fail_after(LIMIT):
            assert [event async for event in engine.subscribe(done.run.id, after=done.events[-1].seq)] == []


async def test_a_host_of_its_own_runs_leaves_those_of_others_alone(lab: Lab, db: Path) -> None:
    other = lab.workflow(wait_for_input("ask", message="?"), lab.call("x", Fails(0)), id="other")
    flow = lab.workflow(wait_for_input("ask", message="?"))
    async with lab.open(flow, other, store=db) as engine:
        parked = await lab.finish(engine, await engine.start("other"))
    async with lab.open(flow, other, store=db, host="none") as engine:
        await engine.resume(parked.waits[0].id, Answer(1))
    async with lab.open(flow, other, store=db, host="own") as engine:
        await lab.finish(engine, await engine.start("main"))
        engine.core.queue.look_at_inbox()
        await anyio.sleep(0.1)
        await engine.core.idle()
        assert (await lab.look(engine, parked.run.id)).states["x"] == "submitted"


async def test_ended_runs_leave_nothing_in_memory(lab: Lab) -> None:
    async with lab.open(lab.workflow(for_each("l", in_=[1, 2], steps=[set_("a", value=1)]))) as engine:
        await lab.finish(engine, await engine.start("main"))
        core = engine.core
        assert (core.cache.trees, core.cache.runs, engine.host.takeover.own) == ({}, {}, set())
