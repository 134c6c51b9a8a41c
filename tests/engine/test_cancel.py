"""Cancel, pause and shutdown: what is running, waiting or to come, and what still happens then."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer
from agentflow.engine.host.admission import ADMITTED
from agentflow.errors import AgentflowError, ConflictError
from agentflow.steps import delay, end, for_each, parallel, sequence, set_, wait_for_input
from agentflow.steps import workflow as sub
from tests.engine.hands import Fails, Gate, by_hand, eventually
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.mark.case("A-21", "F-RUN-3", "F-D-5", "D-RUN-15")
async def test_cancel_interrupts_what_runs_and_nothing_starts_after_it(lab: Lab) -> None:
    gate, never = Gate(), Fails(0)
    async with lab.open(lab.workflow(lab.call("long", gate), lab.call("after", never))) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id)
        done = await lab.finish(engine, run)
        again = await engine.cancel(run.id)
    assert (done.state, done.states) == ("canceled", {"long": "canceled", "after": "submitted"})
    assert done.reasons["long"] == "run_canceled"
    assert (gate.interrupted, never.calls) == (1, 0)
    assert done.kinds.count("run_canceled") == 1
    assert done.run.ended_at is not None
    assert (again.state, again.seq) == ("canceled", done.run.seq)


@pytest.mark.case("A-21")
async def test_cancelling_a_completed_run_changes_nothing(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        again = await engine.cancel(done.run.id)
    assert again == done.run


@pytest.mark.case("F-D-5")
async def test_a_cancelled_run_stays_cancelled_when_its_step_ends_all_the_same(lab: Lab) -> None:
    inside, release = anyio.Event(), anyio.Event()

    async def stubborn() -> str:
        inside.set()
        with anyio.CancelScope(shield=True):
            await release.wait()
        return "late"

    async with lab.open(lab.workflow(lab.call("a", stubborn), set_("b", value=2))) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await inside.wait()
        await engine.cancel(run.id)
        release.set()
        done = await lab.finish(engine, run)
        assert not await engine.store.inbox()
        assert await engine.store.claimable() == []
    assert (done.state, done.states) == ("canceled", {"a": "canceled", "b": "submitted"})
    assert done.results.get("a") is None


async def test_cancel_goes_down_to_child_runs_and_their_children(lab: Lab) -> None:
    gate = Gate()
    leaf = lab.workflow(lab.call("work", gate), id="leaf")
    middle = lab.workflow(sub("call", workflow="leaf"), id="middle")
    top = lab.workflow(sub("call", workflow="middle"))
    async with lab.open(leaf, middle, top) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id)
        done = await lab.finish(engine, run)
        events = await engine.store.events(run.id, 0, 1000, True)
    assert (done.state, gate.interrupted) == ("canceled", 1)
    assert sum(event.type == "run_canceled" for event in events) == 3


async def test_finally_runs_on_cancel_and_hooks_of_success_and_failure_do_not(lab: Lab) -> None:
    gate, log = Gate(), list[str]()
    hooks: dict[str, Any] = {
        name: (lab.call("note", partial(log.append, name)),) for name in ("on_success", "on_failure", "finally")
    }
    async with lab.open(lab.workflow(lab.call("long", gate), **hooks)) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id)
        done = await lab.finish(engine, run)
    assert (done.state, log) == ("canceled", ["finally"])


@pytest.mark.parametrize("nested", [False, True])
async def test_cancel_stops_a_hook_that_waits_and_finally_still_runs(lab: Lab, nested: bool) -> None:
    tidy = Fails(0, "tidied")
    hooks: dict[str, Any] = {
        "on_success": (wait_for_input("ask", message="publish?"),),
        "finally_": (lab.call("tidy", tidy),),
    }
    steps = (sequence("box", steps=[set_("a", value=1)], **hooks),) if nested else (set_("a", value=1),)
    async with lab.open(lab.workflow(*steps, **({} if nested else hooks))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert parked.state == "input-required"
        await engine.cancel(parked.run.id)
        done = await lab.finish(engine, parked.run)
    assert (done.state, tidy.calls, done.waits) == ("canceled", 1, [])


async def test_a_forced_cancel_leaves_finally_out(lab: Lab) -> None:
    gate, log = Gate(), list[str]()
    tidy = lab.call("tidy", lambda: log.append("tidy"))
    async with lab.open(lab.workflow(lab.call("long", gate), finally_=(tidy,))) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id, force=True)
        done = await lab.finish(engine, run)
    assert (done.state, log) == ("canceled", [])


async def test_a_forced_cancel_ends_a_finally_that_hangs(lab: Lab) -> None:
    gate, hangs, last = Gate(), Gate(), Fails(0)
    tidy = (lab.call("tidy", hangs), lab.call("last", last))
    async with lab.open(lab.workflow(lab.call("long", gate), finally_=tidy)) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id)
        await hangs.inside()
        await engine.cancel(run.id, force=True)
        done = await lab.finish(engine, run)
    assert (done.state, hangs.interrupted, last.calls) == ("canceled", 1, 0)


@pytest.mark.case("W-E-10")
async def test_cancel_closes_waits_timers_and_loops_in_every_container(lab: Lab) -> None:
    still = by_hand(lab)
    box = parallel(
        "box",
        steps=[
            wait_for_input("ok", message="?"),
            delay("nap", for_=60),
            for_each("each", in_=[1, 2, 3], steps=[delay("wait", for_="{item}")], max_parallel=2),
            sequence("inner", steps=[still.call("broken", Fails(), on_error="retry")]),
        ],
    )
    async with still.open(still.workflow(box)) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying")
        await engine.cancel(run.id)
        done = await still.finish(engine, run)
        assert await engine.store.next_due() is None
        assert not await engine.waits()
    assert done.state == "canceled"
    assert set(done.states.values()) == {"canceled"}


@pytest.mark.case("F-D-6", "W-E-10")
async def test_pause_lets_nothing_new_start_and_unpause_goes_on_without_repeating(lab: Lab) -> None:
    gate, after = Gate("done"), Fails(0)
    async with lab.open(lab.workflow(lab.call("first", gate), lab.call("after", after))) as engine:
        run = await engine.start("main")
        await gate.inside()
        assert (await engine.pause(run.id)).paused
        gate.open()
        await until(engine, run.id, "step_completed", "first")
        held = await lab.look(engine, run.id)
        assert (held.run.paused, held.run.ended, after.calls) == (True, False, 0)
        assert not (await engine.unpause(run.id)).paused
        done = await lab.finish(engine, run)
    assert (done.state, gate.entered, after.calls) == ("completed", 1, 1)


async def test_while_paused_timers_are_held_and_answers_are_stored(lab: Lab) -> None:
    still = by_hand(lab)
    flow = still.workflow(wait_for_input("ok", message="?"), delay("nap", for_=60), execution="parallel")
    after = still.workflow(sequence("box", steps=[wait_for_input("ok", message="?"), set_("after", value=1)]), id="seq")
    async with still.open(flow, after) as engine:
        run = await engine.start("main")
        await engine.pause(run.id)
        still.clock.advance(100)
        assert (await still.look(engine, run.id)).states["nap"] == "working"
        other = await engine.start("seq")
        await until(engine, other.id, "step_waiting")
        await engine.pause(other.id)
        await engine.resume(other.id, Answer(1))
        held = await still.look(engine, other.id)
        assert "box/after" not in held.states or held.states["box/after"] == "submitted"
        await engine.unpause(other.id)
        assert (await still.finish(engine, other)).state == "completed"
        await engine.unpause(run.id)
        await until(engine, run.id, "step_completed", "nap")


@pytest.mark.parametrize("kind", ["wait", "container", "child run", "early end"])
async def test_what_takes_no_slot_is_held_too_until_the_run_goes_on(lab: Lab, kind: str) -> None:
    gate = Gate()
    held = {
        "wait": wait_for_input("held", message="?"),
        "container": sequence("held", steps=[set_("x", value=1)]),
        "child run": sub("held", workflow="child"),
        "early end": end("held", output=1),
    }[kind]
    flows = lab.workflow(lab.call("first", gate), held), lab.workflow(set_("x", value=1), id="child")
    async with lab.open(*flows) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "first")
        await engine.core.idle()
        paused = await lab.look(engine, run.id)
        assert (paused.state, paused.states, paused.waits) == (
            "working",
            {"first": "completed", "held": "submitted"},
            [],
        )
        await engine.unpause(run.id)
        done = await lab.finish(engine, run)
        if kind == "wait":
            await engine.resume(done.waits[0].id, Answer(1))
            done = await lab.finish(engine, run)
    assert (done.state, done.states["held"]) == ("completed", "completed")
    assert done.steps_of("step_completed") == ["first", *(["held/x"] if kind == "container" else []), "held"]


async def test_a_wait_that_is_held_is_asked_by_another_host_once_the_run_goes_on(lab: Lab, tmp_path: Path) -> None:
    gate, db = Gate(), tmp_path / "runs.db"
    flow = lab.workflow(lab.call("first", gate), wait_for_input("held", message="?"))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "first")
    async with lab.open(flow, store=db) as engine:
        assert await engine.waits(run.id) == []
        await engine.unpause(run.id)
        done = await lab.finish(engine, run)
    assert [wait.step for wait in done.waits] == ["held"]


async def test_a_paused_run_that_is_cancelled_runs_its_final_container(lab: Lab) -> None:
    gate, final = Gate(), Fails(0)
    box = sequence("box", steps=[lab.call("final", final)])
    async with lab.open(lab.workflow(lab.call("a", gate), finally_=[box])) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "a")
        await engine.core.idle()
        assert final.calls == 0
        await engine.cancel(run.id)
        await lab.finish(engine, run)
    assert final.calls == 1


async def test_pause_goes_down_to_child_runs(lab: Lab) -> None:
    gate, after = Gate(), Fails(0)
    child = lab.workflow(lab.call("work", gate), lab.call("after", after), id="child")
    async with lab.open(child, lab.workflow(sub("call", workflow="child"))) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        (row,) = await engine.steps(run.id)
        assert row.task is not None
        await until(engine, row.task, "step_completed", "work")
        assert ((await engine.get(row.task)).paused, after.calls) == (True, 0)
        await engine.unpause(run.id)
        assert (await lab.finish(engine, run)).state == "completed"
    assert after.calls == 1


async def test_a_paused_run_can_be_cancelled(lab: Lab) -> None:
    gate = Gate()
    async with lab.open(lab.workflow(lab.call("a", gate), set_("b", value=1))) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "a")
        await engine.cancel(run.id)
        done = await lab.finish(engine, run)
    assert (done.state, done.states["b"]) == ("canceled", "submitted")


@pytest.mark.case("W-E-10")
async def test_pausing_or_unpausing_what_has_ended_changes_nothing(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert await engine.pause(done.run.id) == done.run
        assert await engine.unpause(done.run.id) == done.run


@pytest.mark.case("A-22")
async def test_shutdown_lets_steps_end_in_their_grace_and_starts_nothing_more(lab: Lab) -> None:
    gate, after = Gate("done"), Fails(0)
    async with lab.open(lab.workflow(lab.call("a", gate), lab.call("b", after))) as engine:
        run = await engine.start("main")
        await gate.inside()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.shutdown, 60)

            async def stopping() -> bool:
                return engine.core.slots.stopping

            await eventually(stopping)
            gate.open()
        held = await lab.look(engine, run.id)
        assert (held.states, held.run.ended, after.calls) == ({"a": "completed", "b": "submitted"}, False, 0)
        with pytest.raises(AgentflowError) as refused:
            await engine.start("main")
        assert refused.value.code == "AF-SHUTTING-DOWN"


@pytest.mark.case("A-22")
async def test_shutdown_without_grace_stops_what_runs_and_it_goes_on_with_the_next_host(
    lab: Lab, tmp_path: object
) -> None:
    """A forced stop is no crash: the step is entered again, and its tries stay what they were."""
    gate = Gate("done")
    flow = lab.workflow(lab.call("a", gate))
    async with lab.open(flow, store=f"{tmp_path}/runs.db") as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.shutdown(0)
        assert gate.interrupted == 1
    gate.open()
    async with lab.open(flow, store=f"{tmp_path}/runs.db") as engine:
        done = await lab.finish(engine, run)
        (row,) = await engine.steps(run.id)
    assert (done.state, row.tries, row.crashes, gate.entered) == ("completed", 1, 0, 2)


async def test_who_still_waits_to_begin_a_run_when_the_engine_shuts_down_is_told_and_every_start_returns(
    lab: Lab,
) -> None:
    begun, refused = list[str](), list[ConflictError]()
    async with lab.open(lab.workflow(set_("a", value=1))) as engine, anyio.create_task_group() as tasks:

        async def start() -> None:
            try:
                begun.append((await engine.start("main")).id)
            except ConflictError as error:
                refused.append(error)

        with anyio.fail_after(LIMIT):
            for _ in range(ADMITTED * 3):
                tasks.start_soon(start)
            await anyio.lowlevel.checkpoint()
            await engine.shutdown(0.0)
    assert len(begun) + len(refused) == ADMITTED * 3
    assert refused
    assert {error.code for error in refused} == {"AF-SHUTTING-DOWN"}
