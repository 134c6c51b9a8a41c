"""Defects that were found by reading and are mended: one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Decline
from agentflow.errors import StoreError
from agentflow.steps import delay, for_each, parallel, saga, sequence, set_, wait_for_input, while_
from agentflow.steps import until as until_
from agentflow.steps import workflow as sub
from agentflow.store.memory import MemoryStore
from agentflow.store.rows import RunQuery
from tests.engine.hands import Fails, Gate, by_hand, doom, eventually
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


# workers


async def test_a_step_that_fails_while_the_engine_shuts_down_has_failed_and_nothing_else_has(lab: Lab, db: Path) -> None:
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
            while not engine.core.stopping:
                await anyio.lowlevel.checkpoint()
            gate.open()
        assert (await engine.get(run.id)).state == "failed"


async def test_a_step_that_raises_something_else_when_it_is_interrupted_ends_as_interrupted(lab: Lab) -> None:
    async def stubborn() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    lab = by_hand(lab)
    async with lab.open(lab.workflow(lab.call("a", stubborn, timeout="1s"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_started")
        await anyio.sleep(0.05)
        lab.clock.advance(2)
        done = await lab.finish(engine, run)
    assert (done.state, done.errors["a"]["code"]) == ("failed", "AF-TIMEOUT")


async def test_cancelling_the_code_around_an_engine_leaves_its_running_steps_to_the_next_host(lab: Lab, db: Path) -> None:
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


async def test_a_run_that_cannot_be_read_keeps_no_other_run_from_going_on(lab: Lab) -> None:
    store = MemoryStore()
    waits = lab.workflow(wait_for_input("ask", message="?"))
    async with lab.open(waits, lab.workflow(set_("a", value=1), id="other"), store=store) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        digest = next(iter(store.tables.runs.values())).new.definition
        engine.core.programs.pop(digest)
        store.definitions = {k: v for k, v in store.definitions.items() if k != digest}
        with anyio.fail_after(LIMIT):
            with pytest.raises(StoreError):
                await engine.resume(run.waits[0].id, Answer(1))
            done = await lab.finish(engine, await engine.start("other"))
        assert done.state == "completed"


async def test_a_store_that_cannot_be_read_for_a_moment_costs_no_step_its_result(lab: Lab) -> None:
    store = MemoryStore()
    flow = lab.workflow(wait_for_input("ask", message="?"), set_("b", value="{steps.ask}"))
    async with lab.open(flow, store=store) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        acquire, broken = store.acquire, [True]

        async def failing(*args: Any) -> Any:
            if broken.pop() if broken else False:
                raise StoreError("the disk is away")
            return await acquire(*args)

        store.acquire = failing  # type: ignore[method-assign]
        with anyio.fail_after(LIMIT):
            with pytest.raises(StoreError):
                await engine.resume(done.waits[0].id, Answer(1))
            done = await lab.finish(engine, done.run)
        assert done.output == 1


async def test_slots_are_free_again_after_a_tree_was_lost(lab: Lab) -> None:
    store, gate = MemoryStore(), Gate()
    stuck = Gate()
    flow = lab.workflow(lab.call("a", gate, execution="parallel"), lab.call("b", stuck, execution="parallel"))
    async with lab.open(flow, store=store) as engine:
        await engine.start("main")
        await gate.inside()
        await stuck.inside()
        for run in store.tables.runs.values():
            run.holder, run.epoch = "somebody else", run.epoch + 1
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


# restored state


async def test_a_saga_in_a_retried_container_is_undone_once_an_attempt_and_reports_all_of_it(lab: Lab) -> None:
    undone: list[str] = []

    def undo(name: str) -> Any:
        return lambda: undone.append(name)

    steps = [lab.call(n, Fails(0), compensate=lab.call("undo", undo(n))) for n in ("a", "b", "c")]
    trip = saga("trip", steps=[*steps, lab.call("d", Fails())])
    box = sequence("box", steps=[trip], retry={"max_attempts": 2, "base": 1})
    done = await lab.run(box)
    assert undone == ["c", "b", "a"] * 2
    assert [entry["step"] for entry in done.errors["box/trip"]["data"]["compensated"]] == [
        "box/trip/c",
        "box/trip/b",
        "box/trip/a",
    ]


async def test_undoing_a_step_a_second_time_has_another_idempotency_key(lab: Lab) -> None:
    keys: dict[str, list[str]] = {"do": [], "undo": []}

    def note(kind: str) -> Any:
        async def work(ctx: Any) -> None:
            keys[kind].append(ctx.idempotency_key)

        return work

    pay = lab.call("pay", note("do"), compensate=lab.call("undo", note("undo")))
    await lab.run(saga("trip", steps=[pay, lab.call("fails", Fails())], retry={"max_attempts": 2, "base": 1}))
    assert len(set(keys["do"])) == 2
    assert len(set(keys["undo"])) == 2


async def test_a_saga_undoes_every_iteration_of_a_loop(lab: Lab) -> None:
    undone: list[int] = []
    pay = lab.call("pay", Fails(0), compensate=lab.call("undo", lambda i: undone.append(i), input={"i": "{index}"}))
    loop = until_("loop", condition="{index} == 3", max_iterations=3, steps=[pay])
    done = await lab.run(saga("trip", steps=[while_("loop", condition="true", max_iterations=4, steps=[pay])]))
    del loop
    assert done.state == "failed"
    assert undone == [3, 2, 1, 0]


async def test_attempts_of_a_retried_loops_steps_go_on_counting(lab: Lab) -> None:
    attempts: list[tuple[str, int]] = []

    async def work(ctx: Any) -> None:
        attempts.append((ctx.address, ctx.attempt))

    done = await lab.run(
        while_("loop", condition="true", max_iterations=4, steps=[lab.call("x", work)],
               retry={"max_attempts": 2, "base": 1, "on": ["all"]})
    )  # fmt: skip
    del done
    box = while_("loop", condition="true", max_iterations=4, steps=[lab.call("x", work)])
    attempts.clear()
    await lab.run(sequence("box", steps=[box, lab.call("no", Fails())], retry={"max_attempts": 2, "base": 1}))
    flaky = lab.call("no", Fails(1), skip_if="{index} < 3")
    attempts.clear()
    ok = while_("loop", condition="{steps.no?} != 'ok'", max_iterations=9, steps=[lab.call("x", work), flaky])
    done = await lab.run(sequence("box", steps=[ok], retry={"max_attempts": 2, "base": 1}))
    assert done.state == "completed"
    assert attempts == [(f"box/loop[{i}]/x", n) for n in (1, 2) for i in range(4)]


async def test_an_iteration_sees_the_one_before_it_to_its_end(lab: Lab) -> None:
    seen: list[Any] = []
    body = [
        lab.call("first", Fails(0)),
        lab.call("look", seen.append, input={"object": "{steps.last?}"}) if False else
        lab.call("look", lambda last: seen.append(last), input={"last": "{steps.last?}"}),
        set_("last", value="{index}"),
    ]  # fmt: skip
    await lab.run(until_("loop", condition="{steps.last} == 2", max_iterations=5, steps=body))
    assert seen == [None, 0, 1]


async def test_a_container_that_waits_for_its_next_attempt_is_not_failed_once_more(lab: Lab) -> None:
    box = sequence(
        "box", steps=[lab.call("x", Fails()), set_("y", value=1)], on_error_siblings="continue",
        retry={"max_attempts": 3, "backoff": "fixed", "base": 10},
    )  # fmt: skip
    beside = [delay(f"d{n}", for_=f"{n}s", execution="parallel") for n in range(1, 6)]
    done = await lab.run(box.model_copy(update={"execution": "parallel"}), *beside)
    assert done.steps_of("step_failed").count("box") == 3


async def test_a_container_that_waits_for_its_operator_asks_once(lab: Lab) -> None:
    box = sequence(
        "box", steps=[lab.call("x", Fails()), set_("y", value=1)], on_error_siblings="continue", on_error="suspend",
        execution="parallel",
    )  # fmt: skip
    async with lab.open(lab.workflow(box, delay("d", for_="1s", execution="parallel"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "d")
        done = await lab.finish(engine, run)
        assert len(done.waits) == 1
        await engine.resume(done.waits[0].id, Answer({"action": "skip"}))
        assert (await lab.finish(engine, run)).state == "completed"


async def test_a_suspended_container_that_is_stopped_asks_nobody_any_more(lab: Lab) -> None:
    gate = Gate()
    box = sequence("box", steps=[lab.call("x", Fails())], on_error="suspend")

    async def fail() -> None:
        await gate()
        raise ValueError

    outer = parallel("outer", steps=[box, lab.call("f", fail)], on_error="continue")
    async with lab.open(lab.workflow(outer, wait_for_input("ask", message="?"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_waiting", "outer/box")
        gate.open()
        await until(engine, run.id, "step_waiting", "ask")
        assert [wait.step for wait in await engine.waits(run.id)] == ["ask"]


async def test_a_tolerated_step_is_null_even_if_an_earlier_attempt_had_a_result(lab: Lab) -> None:
    calls: list[int] = []

    def once() -> str:
        calls.append(1)
        if len(calls) > 1:
            raise ValueError
        return "old"

    box = sequence(
        "box",
        steps=[
            lab.call("x", once, on_error="continue"),
            lab.call("y", Fails(1)),
            lab.call("between", Fails(0)),
            set_("z", value={"x": "{steps.x}"}),
        ],
        retry={"max_attempts": 2, "base": 1},
    )
    done = await lab.run(box)
    assert done.results["box/z"] == {"x": None}


async def test_a_step_set_to_run_at_most_once_is_not_run_again_after_a_shutdown(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", gate, at_most_once=True))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, gate.entered, done.reasons["a"]) == ("failed", 1, "interrupted")


# waits


async def test_an_operator_has_all_the_time_in_the_world(lab: Lab) -> None:
    done = await lab.run(wait_for_input("ask", message="?", timeout="10s", on_error="suspend"))
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
    store = MemoryStore()
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
        engine.core.look_at_inbox()
        await anyio.sleep(0.1)
        await engine.core.idle()
        assert (await lab.look(engine, parked.run.id)).states["x"] == "submitted"


async def test_ended_runs_leave_nothing_in_memory(lab: Lab) -> None:
    async with lab.open(lab.workflow(for_each("l", in_=[1, 2], steps=[set_("a", value=1)]))) as engine:
        await lab.finish(engine, await engine.start("main"))
        core = engine.core
        assert (core.trees, core.runs, engine.host.own) == ({}, {}, set())
