"""Transitions that are refused: what attempts came to, slots, takeovers, and the end of a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio

from agentflow.engine import Answer
from agentflow.engine.plan import commands
from agentflow.steps import for_each, sequence
from agentflow.steps import workflow as sub
from agentflow.steps.contract import Park, Wait
from agentflow.testing.faults import doom
from tests.engine.hands import Gate
from tests.engine.refusing import HOLD, ONE, Cases, Stage, case, opened

CASES: Cases = {}

# what attempts came to


@case(CASES, commands.Outcome, "a step fails and stops what is beside it")
async def _stops_sibling(stage: Stage) -> None:
    door = stage.here.another()

    async def fails() -> None:
        await door()
        raise ValueError("broken")

    async with stage.executing(stage.lab.call("fails", fails, execution="parallel")) as (engine, run):
        await door.inside()
        await stage.refuse(engine, commands.Outcome, opened(door))
        done = await stage.finish(engine, run)
    assert (done.state, stage.here.gate.interrupted, door.entered) == ("failed", 1, 1)


@case(CASES, commands.Outcome, "a step is completed and the next one begins")
async def _next_begins(stage: Stage) -> None:
    first, second = stage.here.another(1), stage.here.another(2)
    async with stage.open(stage.lab.workflow(stage.lab.call("a", first), stage.lab.call("b", second))) as engine:
        run = await engine.start("main")
        await first.inside()
        await stage.refuse(engine, commands.Outcome, opened(first))
        second.open()
        done = await stage.finish(engine, run)
    assert (done.output, first.entered, second.entered) == (2, 1, 1)


@case(CASES, commands.Outcome, "a step parks")
async def _parks(stage: Stage) -> None:
    door = stage.here.another()

    async def parks(ctx: Any) -> Any:
        if ctx.arrived is None:
            await door()
            return Park(Wait("input", "?"), then="enter")
        return ctx.arrived

    async with stage.open(stage.lab.workflow(stage.lab.call("a", parks))) as engine:
        run = await engine.start("main")
        await door.inside()
        await stage.refuse(engine, commands.Outcome, opened(door))
        parked = await stage.finish(engine, run)
        assert (parked.state, door.entered) == ("input-required", 1)
        await engine.resume(run.id, Answer("yes"))
        assert (await stage.finish(engine, run)).state == "completed"


@case(CASES, commands.Outcome, "a run below another one ends")
async def _child_ends(stage: Stage) -> None:
    door, after = stage.here.another(1), stage.here.another(2)
    child = stage.lab.workflow(stage.lab.call("in", door), id="child")
    async with stage.open(stage.lab.workflow(sub("c", workflow="child"), stage.lab.call("b", after)), child) as engine:
        run = await engine.start("main")
        await door.inside()
        await stage.refuse(engine, commands.Outcome, opened(door))
        after.open()
        done = await stage.finish(engine, run)
    assert (done.output, door.entered, after.entered) == (2, 1, 1)


@case(CASES, commands.Outcome, "a reducer has worked for a step")
async def _reduces(stage: Stage) -> None:
    door = stage.here.another(1)
    await _folds(stage, stage.lab.call("a", door, update={"k": "{steps.a}"}), door)


@case(CASES, commands.Outcome, "a reducer has worked for a container")
async def _reduces_box(stage: Stage) -> None:
    door = stage.here.another(1)
    await _folds(stage, sequence("a", steps=[stage.lab.call("in", door)], update={"k": 1}), door)


def _appended(old: list[Any], new: Any) -> list[Any]:
    return [*old, new]


async def _folds(stage: Stage, step: Any, door: Gate) -> None:
    stage.lab = replace(stage.lab, functions={**stage.lab.functions, "lab:red": _appended})
    flow = stage.lab.workflow(step, context={"k": {"default": [], "reducer": "lab:red"}}, output="{context.k}")
    async with stage.open(flow) as engine:
        run = await engine.start("main")
        await door.inside()
        await stage.refuse(engine, commands.Outcome, opened(door))
        done = await stage.finish(engine, run)
    assert (done.output, door.entered) == ([1], 1)


# takeovers


@case(CASES, commands.Touch, "a dead host's run is taken over")
async def _takes_over(stage: Stage) -> None:
    here = stage.here
    async with stage.executing(store=stage.db) as (engine, run):
        doom(engine)
    before, here.gate = here.gate.entered, Gate("done")
    here.gate.entered = before
    here.gate.open()
    async with stage.open(stage.holding(), store=stage.db, host="own") as engine:
        await stage.refuse(engine, commands.Touch, lambda: engine.adopt(run.id))
        await engine.adopt(run.id)
        done = await stage.finish(engine, run)
    assert (done.state, here.reaped, here.gate.entered) == ("completed", ["a process"], before + 1)


@case(CASES, commands.Begun, "a step that was broken off begins again")
async def _begins_again(stage: Stage) -> None:
    """Nothing of it is executed before: else the next crash wouldn't count."""
    gates = [Gate(), stage.here.another("done")]

    async def either() -> Any:
        return await gates[0]()

    flow = stage.lab.workflow(stage.lab.call("a", either))
    async with stage.open(flow, store=stage.db) as engine:
        run = await engine.start("main")
        await gates[0].inside()
        doom(engine)
    gate = gates.pop()
    gates[0] = gate
    gate.open()
    async with stage.open(flow, store=stage.db, host="own") as engine:
        await stage.refuse(engine, commands.Begun, lambda: engine.adopt(run.id))
        done = await stage.finish(engine, run)
        (row,) = await engine.steps(run.id)
    assert (done.output, gate.entered, row.crashes) == ("done", 1, 1)


# slots of keys


def _busy(stage: Stage, gate: Gate, name: str) -> Any:
    return stage.lab.workflow(stage.lab.call("a", gate, concurrency=ONE), id=name)


@case(CASES, commands.Outcome, "a slot is given to another run")
async def _gives(stage: Stage) -> None:
    first, second = stage.here.another(1), stage.here.another(2)
    async with stage.open(_busy(stage, first, "first"), _busy(stage, second, "second")) as engine:
        runs = [await engine.start(name) for name in ("first", "second")]
        await first.inside()
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(engine, commands.Outcome, opened(first))
        second.open()
        outputs = [(await stage.finish(engine, run)).output for run in runs]
    assert (outputs, first.entered, second.entered) == ([1, 2], 1, 1)


@case(CASES, commands.Outcome, "a slot is given to another process")
async def _gives_elsewhere(stage: Stage) -> None:
    """Whose bell isn't rung before."""
    first, second = stage.here.another(1), stage.here.another(2)
    flows = [_busy(stage, first, "first"), _busy(stage, second, "second")]
    async with (
        stage.open(*flows, store=stage.db, host="own") as one,
        stage.lab.open(*flows, store=stage.db, host="own") as two,
    ):
        gives = await one.start("first")
        await first.inside()
        run = await two.start("second")
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(one, commands.Outcome, opened(first))
        await second.inside()
        second.open()
        done = await stage.finish(two, run)
        assert (await stage.finish(one, gives)).state == "completed"
    assert (done.output, first.entered, second.entered, stage.here.rung) == (2, 1, 1, 1)


@case(CASES, commands.Granted, "a step gets the slot that another run has given back")
async def _granted(stage: Stage) -> None:
    first, second = stage.here.another(1), stage.here.another(2)
    async with stage.open(_busy(stage, first, "first"), _busy(stage, second, "second")) as engine:
        runs = [await engine.start(name) for name in ("first", "second")]
        await first.inside()
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(engine, commands.Granted, opened(first))
        second.open()
        outputs = [(await stage.finish(engine, run)).output for run in runs]
    assert (outputs, first.entered, second.entered) == ([1, 2], 1, 1)


@case(CASES, commands.Granted, "a step gets the slot that another process has given back")
async def _granted_elsewhere(stage: Stage) -> None:
    first, second = stage.here.another(1), stage.here.another(2)
    flows = [_busy(stage, first, "first"), _busy(stage, second, "second")]
    async with (
        stage.lab.open(*flows, store=stage.db, host="own") as one,
        stage.open(*flows, store=stage.db, host="own") as two,
    ):
        gives = await one.start("first")
        await first.inside()
        run = await two.start("second")
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(two, commands.Granted, opened(first))
        second.open()
        done = await stage.finish(two, run)
        assert (await stage.finish(one, gives)).state == "completed"
    assert (done.output, first.entered, second.entered) == (2, 1, 1)


@case(CASES, commands.Deadlocked, "steps would wait for one another for ever")
async def _deadlocked(stage: Stage) -> None:
    two: Any = {"key": "two", "limit": 2}
    gate = stage.here.another()
    gate.open()
    box = sequence("box", steps=[stage.lab.call("x", gate, concurrency=two)], concurrency=two, on_error="continue")
    async with stage.open(stage.lab.workflow(for_each("each", in_=[1, 2], steps=[box]))) as engine:
        runs: list[Any] = []

        async def starts() -> None:
            runs.append(await engine.start("main"))

        await stage.refuse(engine, commands.Deadlocked, starts)
        done = await stage.finish(engine, runs[0])
    assert (done.state, gate.entered) == ("completed", 1)
    assert [error.code for name, error in done.errors.items() if name.endswith("/x")] == ["AF-SLOT-DEADLOCK"]


@case(CASES, commands.FreeSlots, "slots of a dead host's run are given back")
async def _frees(stage: Stage) -> None:
    here, gate = stage.here, stage.here.another(2)
    hold = stage.lab.workflow(HOLD.model_validate({**HOLD.model_dump(exclude_defaults=True), "concurrency": ONE}))
    flows = [hold, _busy(stage, gate, "quick")]
    async with stage.open(*flows, store=stage.db, host="own") as engine:
        dead = await engine.start("main")
        await here.gate.inside()
        doom(engine)
    async with stage.open(*flows, store=stage.db, host="own") as engine:
        run = await engine.start("quick")
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(engine, commands.FreeSlots, engine.host.takeover.claim)
        await gate.inside()
        assert (here.reaped, here.gate.entered) == (["a process"], 1)
        gate.open()
        assert (await stage.finish(engine, run)).state == "completed"
    here.gate.open()
    async with stage.open(*flows, store=stage.db) as engine:
        assert (await stage.finish(engine, dead)).state == "completed"


# the end of a host


@case(CASES, commands.Outcome, "a step is stopped at its host's end")
async def _stopped_at_the_end(stage: Stage) -> None:
    here = stage.here
    async with stage.executing(store=stage.db) as (engine, run):
        await stage.refuse(engine, commands.Outcome, lambda: engine.shutdown(0), {"interrupted": 1})
    before, here.gate = here.gate.entered, Gate("done")
    here.gate.entered = before
    here.gate.open()
    async with stage.open(stage.holding(), store=stage.db) as engine:
        done = await stage.finish(engine, run)
        rows = {row.address: row.crashes for row in await engine.steps(run.id)}
    assert (done.state, here.gate.entered, rows["box/hold"]) == ("completed", before + 1, 0)


@case(CASES, commands.Release, "a host ends that holds a run")
async def _releases(stage: Stage) -> None:
    first, second = stage.here.another(1), stage.here.another(2)
    flows = [_busy(stage, first, "first"), _busy(stage, second, "second")]
    async with stage.lab.open(*flows, store=stage.db, host="own") as one:
        gives = await one.start("first")
        await first.inside()
        async with stage.open(*flows, store=stage.db, host="own") as two:
            run = await two.start("second")
            await anyio.wait_all_tasks_blocked()
            await stage.refuse(two, commands.Release, lambda: two.shutdown(0))
            row = await two.store.get_run(run.id)
            assert (row and row.holder) == two.store.holder
        row = await one.store.get_run(run.id)
        assert row is not None
        assert row.holder is None
        first.open()
        assert (await stage.finish(one, gives)).state == "completed"
    second.open()
    async with stage.open(*flows, store=stage.db) as engine:
        assert (await stage.finish(engine, run)).output == 2
