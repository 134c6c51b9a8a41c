"""Crashes: a host drops dead in the middle, another one goes on over the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Answer
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.errors import ConflictError, NotFoundError
from agentflow.steps import delay, for_each, parallel, saga, sequence, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.testing import RunOutcome
from agentflow.testing.faults import doom
from tests.engine.hands import Fails, Gate, by_hand, same
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def crash_in(lab: Lab, db: Path, gate: Gate, *workflows: Workflow, input: Any = None) -> str:  # noqa: A002
    """Start `main`, let the host die while a step is behind the gate, and open the gate for the next one."""
    async with lab.open(*workflows, store=db) as engine:
        run = await engine.start("main", input)
        await gate.inside()
        doom(engine)
    gate.open()
    return run.id


async def go_on(lab: Lab, db: Path, run_id: str, *workflows: Workflow) -> RunOutcome:
    async with lab.open(*workflows, store=db) as engine:
        return await lab.finish(engine, await engine.get(run_id))


@pytest.mark.case("F-CP-1", "A-29", "F-D-7")
async def test_after_a_crash_the_run_goes_on_and_what_was_done_is_not_repeated(lab: Lab, db: Path) -> None:
    first, last, gate = Fails(0, 1), Fails(0, 3), Gate(2)
    flow = lab.workflow(
        lab.call("a", first),
        lab.call("b", gate),
        lab.call("c", last),
        set_("d", value=["{steps.a}", "{steps.b}", "{steps.c}"]),
    )
    run_id = await crash_in(lab, db, gate, flow)
    done = await go_on(lab, db, run_id, flow)
    assert (done.state, done.output) == ("completed", [1, 2, 3])
    assert (first.calls, gate.entered, last.calls) == (1, 2, 1)
    uninterrupted = await lab.run(*flow.steps)
    assert uninterrupted.output == done.output


@pytest.mark.case("F-CP-3")
async def test_a_crash_in_the_last_step_is_made_good(lab: Lab, db: Path) -> None:
    gate = Gate("the end")
    flow = lab.workflow(set_("a", value=1), lab.call("b", gate))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, done.output, gate.entered) == ("completed", "the end", 2)


@pytest.mark.case("F-CP-4")
async def test_a_crash_in_the_first_step_is_made_good(lab: Lab, db: Path) -> None:
    gate = Gate(1)
    flow = lab.workflow(lab.call("a", gate), set_("b", value="{steps.a}"))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, done.output) == ("completed", 1)


@pytest.mark.case("F-CP-2")
async def test_going_on_with_what_is_unknown_or_has_ended_says_so(lab: Lab, db: Path) -> None:
    flow = lab.workflow(set_("a", value=1))
    async with lab.open(flow, store=db) as engine:
        with pytest.raises(NotFoundError):
            await engine.adopt("0" * 26)
        done = await lab.finish(engine, await engine.start("main"))
        with pytest.raises(ConflictError) as over:
            await engine.resume(done.run.id, Answer(1))
    assert "completed" in over.value.what


@pytest.mark.case("F-CP-5")
async def test_a_run_cancelled_while_nobody_executed_it_ends_cancelled(lab: Lab, db: Path) -> None:
    gate, after = Gate(), Fails(0)
    flow = lab.workflow(lab.call("a", gate), lab.call("b", after))
    run_id = await crash_in(lab, db, gate, flow)
    async with lab.open(flow, store=db, host="none") as engine:
        await engine.cancel(run_id)
    done = await go_on(lab, db, run_id, flow)
    assert (done.state, after.calls) == ("canceled", 0)


@pytest.mark.case("F-CP-5")
async def test_a_timeout_counts_for_the_attempt_after_a_crash_too(lab: Lab, db: Path) -> None:
    still = by_hand(lab)
    gate = Gate()
    flow = still.workflow(still.call("a", gate, timeout=10))
    async with still.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        doom(engine)
    again = Gate()
    still.functions["lab:f0"] = again
    async with still.open(flow, store=db) as engine:
        await again.inside()
        still.clock.advance(10)
        done = await still.finish(engine, run)
    assert (done.state, done.errors["a"].code) == ("failed", "AF-TIMEOUT")


async def test_a_crash_counts_as_an_attempt_and_not_as_a_try(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", gate))
    run_id = await crash_in(lab, db, gate, flow)
    async with lab.open(flow, store=db) as engine:
        await lab.finish(engine, await engine.get(run_id))
        (row,) = await engine.steps(run_id)
    assert (row.attempt, row.tries, row.crashes) == (2, 1, 1)


async def test_after_a_crash_a_step_finds_the_state_that_it_saved(lab: Lab, db: Path) -> None:
    seen: list[Any] = []
    gate = Gate()

    async def work(ctx: Any) -> str:
        seen.append(ctx.state)
        await ctx.save({"remote": "job-7"})
        await gate()
        return "done"

    flow = lab.workflow(lab.call("a", work))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, seen) == ("completed", [None, {"remote": "job-7"}])


async def test_a_step_that_runs_at_most_once_fails_after_a_crash_and_is_not_run_again(lab: Lab, db: Path) -> None:
    gate, after = Gate(), Fails(0)
    flow = lab.workflow(lab.call("pay", gate, at_most_once=True), lab.call("b", after))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, done.reasons["pay"], gate.entered, after.calls) == ("failed", "interrupted", 1, 0)
    assert done.errors["pay"].code == "AF-INTERRUPTED"


async def test_a_step_that_kills_its_host_again_and_again_fails_in_the_end(lab: Lab, db: Path) -> None:
    entered = 0
    flow = lab.workflow(lab.call("poison", lambda: None), set_("b", value=1))
    async with lab.open(flow, store=db, host="none") as engine:
        run = await engine.start("main")
    for _ in range(5):
        gate = Gate()
        lab.functions["lab:f0"] = gate
        async with lab.open(flow, store=db) as engine:
            await gate.inside()
            entered += 1
            doom(engine)
    done = await go_on(lab, db, run.id, flow)
    assert (done.state, done.errors["poison"].code, entered) == ("failed", "AF-STEP-CRASHED", 5)


async def test_after_two_crashes_the_steps_that_were_running_run_one_at_a_time(lab: Lab, db: Path) -> None:
    gates: list[Gate] = []
    flow = lab.workflow(*(lab.call(name, lambda: None) for name in "ab"), execution="parallel")
    run_id = ""
    for crash in range(2):
        gates = [Gate(), Gate()]
        lab.functions.update({f"lab:f{n}": gate for n, gate in enumerate(gates)})
        async with lab.open(flow, store=db) as engine:
            if not crash:
                run_id = (await engine.start("main")).id
            for gate in gates:
                await gate.inside()
            doom(engine)
    gates = [Gate(), Gate()]
    lab.functions.update({f"lab:f{n}": gate for n, gate in enumerate(gates)})
    async with lab.open(flow, store=db) as engine:
        await gates[0].inside()
        await anyio.wait_all_tasks_blocked()
        assert gates[1].entered == 0
        gates[0].open()
        await gates[1].inside()
        gates[1].open()
        assert (await lab.finish(engine, await engine.get(run_id))).state == "completed"


@pytest.mark.case("F-CP-1")
async def test_timers_fire_and_waits_stay_open_after_a_crash(lab: Lab, db: Path) -> None:
    still = by_hand(lab)
    steps = (
        delay("nap", for_=60),
        wait_for_input("ask", message="?"),
        still.call("again", Fails(1, "ok"), on_error="retry"),
    )
    flow = still.workflow(*steps, execution="parallel")
    async with still.open(flow, store=db) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying")
        (wait,) = await engine.waits()
        doom(engine)
    async with still.open(flow, store=db) as engine:
        assert [open_.id for open_ in await engine.waits(run.id)] == [wait.id]
        still.clock.advance(60)
        for step in ("nap", "again"):
            await until(engine, run.id, "step_completed", step)
        await engine.resume(wait.id, Answer("yes"))
        done = await still.finish(engine, run)
    assert (done.state, done.results["ask"], done.results["again"]) == ("completed", "yes", "ok")


@pytest.mark.case("F-CP-1")
async def test_a_crash_deep_in_containers_goes_on_there(lab: Lab, db: Path) -> None:
    done_before, gate, undo = Fails(0, "x"), Gate("y"), Fails(0)
    deep = for_each(
        "each",
        in_=[1, 2],
        max_parallel=1,
        steps=[lab.call("x", done_before), lab.call("y", gate, if_="item == 2"), set_("z", value="{item}")],
    )
    box = saga("box", steps=[set_("first", value=1, compensate=lab.call("undo", undo)), sequence("in", steps=[deep])])
    flow = lab.workflow(box)
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert done.state == "completed"
    assert done.output["in"]["each"] == [{"x": "x", "y": None, "z": 1}, {"x": "x", "y": "y", "z": 2}]
    assert (done_before.calls, gate.entered, undo.calls) == (2, 2, 0)


async def test_a_crash_in_a_compensation_goes_on_with_it_and_undoes_nothing_twice(lab: Lab, db: Path) -> None:
    log: list[str] = []
    gate = Gate()

    async def hard() -> None:
        await gate()
        log.append("undo b")

    body = [
        set_("a", value=1, compensate=lab.call("undo", lambda: log.append("undo a"))),
        set_("b", value=1, compensate=lab.call("undo", hard)),
        set_("c", value=1, compensate=lab.call("undo", lambda: log.append("undo c"))),
        lab.call("d", Fails()),
    ]
    flow = lab.workflow(saga("trip", steps=body))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, log) == ("failed", ["undo c", "undo b", "undo a"])
    assert done.run.failure is not None
    assert done.run.failure.step == "trip/d"


async def test_a_crash_in_a_hook_goes_on_with_it(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", Fails()), on_failure=(lab.call("cry", gate),), finally_=(set_("tidy", value=1),))
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, gate.entered) == ("failed", 2)
    assert (done.states["#on_failure/cry"], done.states["#finally/tidy"]) == ("completed", "completed")


async def test_a_crash_in_a_child_run_goes_on_there_and_starts_no_other_child(lab: Lab, db: Path) -> None:
    gate = Gate("inner")
    child = lab.workflow(lab.call("x", gate), id="child")
    flow = lab.workflow(sub("call", workflow="child"))
    run_id = await crash_in(lab, db, gate, child, flow)
    async with lab.open(child, flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run_id))
        starts = [e for e in await engine.store.events(run_id, 0, 1000, True) if e.type == "run_started"]
    assert (done.state, done.output, len(starts)) == ("completed", "inner", 2)


async def test_the_definition_of_a_run_stays_what_it_was_when_it_started(lab: Lab, db: Path) -> None:
    gate = Gate(1)
    old = lab.workflow(lab.call("a", gate), set_("b", value="old"))
    run_id = await crash_in(lab, db, gate, old)
    done = await go_on(lab, db, run_id, lab.workflow(lab.call("a", gate), set_("b", value="new")))
    assert done.output == "old"


@pytest.mark.case("A-29")
async def test_all_runs_of_a_dead_host_are_found_and_finished(lab: Lab, db: Path) -> None:
    flow = lab.workflow(lab.call("a", same, input={"n": "{input.n}"}), lab.call("b", lambda: None))
    gate = Gate()
    lab.functions["lab:f1"] = gate
    async with lab.open(flow, store=db) as engine:
        runs = [await engine.start("main", {"n": n}) for n in range(10)]
        for run in runs:
            await until(engine, run.id, "step_completed", "a")
        doom(engine)
    gate.open()
    async with lab.open(flow, store=db) as engine:
        for number, run in enumerate(runs):
            done = await lab.finish(engine, run)
            assert (done.state, done.results["a"], done.steps_of("step_completed")) == ("completed", number, ["a", "b"])


async def test_merely_opening_a_store_executes_nothing(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", gate))
    run_id = await crash_in(lab, db, gate, flow)
    for host in ("none", "own"):
        async with lab.open(flow, store=db, host=host) as engine:
            await anyio.wait_all_tasks_blocked()
            assert (await engine.get(run_id)).state == "working"
    assert gate.entered == 1


@pytest.mark.case("D-WAIT-9")
async def test_a_parallel_group_with_waits_survives_any_number_of_hosts(lab: Lab, db: Path) -> None:
    legs = [
        sequence(f"leg{n}", steps=[wait_for_input("ask", message="?"), set_("x", value="{steps.ask}")])
        for n in range(3)
    ]
    flow = lab.workflow(parallel("all", steps=legs))
    async with lab.open(flow, store=db) as engine:
        run = (await lab.finish(engine, await engine.start("main"))).run
        waits = await engine.waits(run.id)
        doom(engine)
    for wait in waits:
        async with lab.open(flow, store=db) as engine:
            await engine.resume(wait.id, Answer(wait.step))
            await until(engine, run.id, "step_completed", wait.step.rpartition("/")[0])
            doom(engine)
    done = await go_on(lab, db, run.id, flow)
    assert (done.state, done.output["leg2"]) == ("completed", {"ask": "all/leg2/ask", "x": "all/leg2/ask"})


@pytest.mark.parametrize("died", ["before the claim", "before the step began"])
async def test_only_a_death_while_the_step_executes_counts(lab: Lab, db: Path, died: str) -> None:
    """Hosts that have taken the run over and die before they begin the step say nothing about the step."""
    gate = Gate("done")
    flow = lab.workflow(lab.call("good", gate))
    run_id = await crash_in(lab, db, gate, flow)
    for _ in range(6):
        async with lab.open(flow, store=db, host="own") as engine:
            claimed = anyio.Event()

            async def stuck(run: RunState, node: Node, claimed: anyio.Event = claimed) -> tuple[RunState, Node]:
                claimed.set()
                await anyio.sleep_forever()
                return run, node

            if died == "before the claim":
                engine.core.slots.limit = 0
            else:
                engine.core.performer.begin = stuck  # a death between two commits
            assert await engine.adopt(run_id)
            if died == "before the claim":
                await anyio.wait_all_tasks_blocked()
            else:
                with anyio.fail_after(LIMIT):
                    await claimed.wait()
            (row,) = await engine.steps(run_id)
            assert (row.crashes, gate.entered) == (1, 1)
            doom(engine)
    done = await go_on(lab, db, run_id, flow)
    assert (done.state, done.output, gate.entered) == ("completed", "done", 2)


async def test_a_crash_in_a_container_whose_values_come_from_a_step_of_a_longer_name_is_made_good(
    lab: Lab, db: Path
) -> None:
    gate = Gate(1)
    box = sequence("b", with_={"k": "{steps.a_longer_name}"}, steps=[lab.call("x", gate)])
    flow = lab.workflow(set_("a_longer_name", value=5), box)
    done = await go_on(lab, db, await crash_in(lab, db, gate, flow), flow)
    assert (done.state, done.output) == ("completed", {"x": 1})
