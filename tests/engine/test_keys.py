"""`concurrency`: how many steps of a whole store are at work with a key, containers and sub-workflows included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentflow.definition.models import Step
from agentflow.engine import Answer
from agentflow.steps import for_each, parallel, registry, sequence, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.steps.contract import Result
from agentflow.store.sqlite import queueing
from agentflow.testing.faults import doom
from tests.engine.hands import Fails, Gate
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio
ONE: Any = {"key": "deploy", "limit": 1}


class Nothing(BaseModel):
    """A step type without fields."""


class Crowd:
    """A step's function that counts how many are in it at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.calls = 0

    async def __call__(self) -> None:
        self.inside += 1
        self.calls += 1
        self.most = max(self.most, self.inside)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        self.inside -= 1


def _box(lab: Lab, name: str, kind: str, crowd: Crowd) -> Step:
    body = [lab.call("in", crowd), lab.call("out", crowd)]
    if kind == "sequence":
        return sequence(name, steps=body, execution="parallel", concurrency=ONE)
    if kind == "parallel":
        return parallel(name, steps=body[:1], execution="parallel", concurrency=ONE)
    if kind == "for_each":
        return for_each(name, in_=[1, 2], max_parallel=1, steps=body, execution="parallel", concurrency=ONE)
    return sub(name, workflow="child", execution="parallel", concurrency=ONE)


@pytest.mark.parametrize("kind", ["sequence", "parallel", "for_each", "workflow"])
async def test_a_container_holds_its_key_until_it_has_ended(lab: Lab, kind: str) -> None:
    crowd = Crowd()
    child = lab.workflow(lab.call("in", crowd), lab.call("out", crowd), id="child")
    flow = lab.workflow(*(_box(lab, name, kind, crowd) for name in "abc"))
    async with lab.open(child, flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, crowd.most) == ("completed", 1)
    begun = [event for event in done.events if event.step in {"a", "b", "c"}]
    kinds = [event.type for event in begun if event.type in {"step_started", "step_completed"}]
    assert kinds == ["step_started", "step_completed"] * 3


async def test_a_wait_inside_a_container_keeps_its_key_and_runs_say_what_they_wait_for(lab: Lab) -> None:
    box = sequence("box", steps=[wait_for_input("ask", message="?"), set_("x", value=1)], concurrency=ONE)
    first = lab.workflow(box)
    second = lab.workflow(set_("y", value=2, concurrency=ONE), id="second")
    async with lab.open(first, second) as engine:
        holder = await engine.start("main")
        await until(engine, holder.id, "step_waiting")
        run = await engine.start("second")
        await anyio.wait_all_tasks_blocked()
        assert (await engine.get(run.id)).state == "working"
        row = await engine.store.get_run(run.id)
        assert row is not None
        (wait,) = await engine.store.slot_waits(row.run)
        assert (wait.key, wait.limit, list(wait.holders)) == ("deploy", 1, [(holder.id, "box")])
        await engine.resume(holder.id, Answer("yes"))
        for each in (holder, run):
            assert (await lab.finish(engine, each)).state == "completed"


async def test_back_off_and_cancel_give_the_key_back(lab: Lab) -> None:
    flaky = lab.workflow(lab.call("a", Fails(1), concurrency=ONE, on_error="retry"), id="flaky")
    gate = Gate()
    stuck = lab.workflow(lab.call("a", gate, concurrency=ONE), id="stuck")
    flow = lab.workflow(set_("a", value=1, concurrency=ONE))
    async with lab.open(flaky, stuck, flow) as engine:
        runs = [await engine.start(name) for name in ("flaky", "main")]
        for run in runs:
            assert (await lab.finish(engine, run)).state == "completed"
        held = await engine.start("stuck")
        await gate.inside()
        waits, goes = await engine.start("main"), await engine.start("main")
        await engine.cancel(waits.id)
        assert (await lab.finish(engine, waits)).state == "canceled"
        await engine.cancel(held.id)
        assert (await lab.finish(engine, goes)).state == "completed"


async def test_a_paused_run_holds_up_nobody(lab: Lab) -> None:
    gate = Gate()
    busy = lab.workflow(lab.call("a", gate, concurrency=ONE), id="busy")
    flow = lab.workflow(set_("a", value=1, concurrency=ONE))
    async with lab.open(busy, flow) as engine:
        await engine.start("busy")
        await gate.inside()
        paused, goes = await engine.start("main"), await engine.start("main")
        await engine.pause(paused.id)
        gate.open()
        assert (await lab.finish(engine, goes)).state == "completed"
        assert (await engine.get(paused.id)).state == "working"
        await engine.unpause(paused.id)
        assert (await lab.finish(engine, paused)).state == "completed"


async def test_a_key_that_the_steps_around_hold_already_fails_at_once(lab: Lab) -> None:
    key: Any = {"key": "{input.k}", "limit": 1}
    done = await lab.run(
        sequence("box", steps=[set_("x", value=1, concurrency=key)], concurrency=key), input={"k": "deploy"}
    )
    assert (done.state, done.errors["box/x"].code) == ("failed", "AF-SLOT-DEADLOCK")


async def test_steps_that_wait_for_one_another_are_told_and_one_of_them_fails(lab: Lab) -> None:
    two: Any = {"key": "{input.k}", "limit": 2}
    inner = sequence("box", steps=[set_("x", value="{item}", concurrency=two)], concurrency=two, on_error="continue")
    done = await lab.run(for_each("each", in_=[1, 2], steps=[inner]), input={"k": "deploy"})
    assert done.state == "completed"
    assert sorted(done.states[f"each[{n}]/box/x"] for n in (0, 1)) == ["completed", "failed"]
    assert [error.code for name, error in done.errors.items() if name.endswith("/x")] == ["AF-SLOT-DEADLOCK"]


async def test_who_waits_costs_nothing_until_a_slot_is_free(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = 0
    for name in ("do", "number", "one", "rows"):
        wrapped = getattr(queueing, name)

        def counted(*args: Any, wrapped: Any = wrapped) -> Any:
            nonlocal statements
            statements += 1
            return wrapped(*args)

        monkeypatch.setattr(queueing, name, counted)
    steps = [set_(f"s{n}", value=n, execution="parallel", concurrency=ONE) for n in range(200)]
    lab = Lab(lab.clock, always_replay=False)
    async with lab.open(lab.workflow(*steps, max_parallel=200), store=tmp_path / "runs.db") as engine:
        run = await engine.start("main")
        with anyio.fail_after(60):
            assert (await engine.wait(run.id)).state == "completed"
    assert 400 <= statements <= 1000


async def test_the_slot_of_a_dead_process_comes_free_and_its_run_can_go_on(lab: Lab, tmp_path: Path) -> None:
    """Its step is broken off, so nothing is at work with the key; who comes later goes on with the run."""
    db, gate = tmp_path / "runs.db", Gate(1)
    flow = lab.workflow(lab.call("a", gate, concurrency=ONE))
    quick = lab.workflow(set_("a", value=1, concurrency=ONE), id="quick")
    async with lab.open(flow, quick, store=db, host="own") as engine:
        dead = await engine.start("main")
        await gate.inside()
        doom(engine)
    async with lab.open(flow, quick, store=db, host="own") as engine:
        run = await engine.start("quick")
        with anyio.fail_after(LIMIT):
            await engine.host.takeover.claim()
            assert (await engine.wait(run.id)).state == "completed"
        assert gate.entered == 1
    gate.open()
    async with lab.open(flow, quick, store=db) as engine:
        assert (await lab.finish(engine, dead)).state == "completed"


async def test_the_slot_of_a_dead_process_comes_free_where_its_workflow_cannot_be_loaded(
    lab: Lab, tmp_path: Path
) -> None:
    """Its run stays for whoever has what it needs, and asks for the slot once more there."""
    db, gate = tmp_path / "runs.db", Gate(1)
    types: Any = vars(registry)["_types"]

    async def execute(config: Nothing, ctx: Any) -> Result:
        return Result(await gate())

    registry.step_type("gone_with_key", config=Nothing, summary="For this test.")(execute)
    flow = lab.workflow(Step(id="a", type="gone_with_key", concurrency=ONE))
    quick = lab.workflow(set_("a", value=1, concurrency=ONE), id="quick")
    async with lab.open(flow, quick, store=db) as engine:
        dead = await engine.start("main")
        await gate.inside()
        doom(engine)
    known = types.pop("gone_with_key")  # as in a process without its package
    async with lab.open(quick, store=db) as engine:
        assert (await lab.finish(engine, await engine.start("quick"))).state == "completed"
    gate.open()
    types["gone_with_key"] = known
    async with lab.open(flow, quick, store=db) as engine:
        assert (await lab.finish(engine, dead)).state == "completed"


async def test_after_a_crash_who_held_and_who_waited_do_so_still(lab: Lab, tmp_path: Path) -> None:
    db, gate = tmp_path / "runs.db", Gate(1)
    box = sequence("box", steps=[lab.call("in", gate)], concurrency=ONE, execution="parallel")
    flow = lab.workflow(box, set_("after", value=1, concurrency=ONE, execution="parallel"))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        doom(engine)
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, run)
        tree = await engine.store.load((await engine.store.get_run(run.id)).run)  # pyright: ignore[reportOptionalMemberAccess]  it is there
    assert (done.state, done.steps_of("step_completed")) == ("completed", ["box/in", "box", "after"])
    assert tree is not None
    assert [list(each.slots) for each in tree.runs] == [[]]


@pytest.mark.parametrize("pause", [False, True])
async def test_a_run_waits_for_its_answer_while_other_steps_of_it_wait_for_the_key_of_the_wait(
    lab: Lab, pause: bool
) -> None:
    key = {"key": "k", "limit": 1}
    ask = wait_for_input("ask", message="?", concurrency=key, execution="parallel")
    more = set_("more", value=1, concurrency=key, execution="parallel")
    loop = for_each("each", in_=[1, 2, 3], steps=[wait_for_input("w", message="?", concurrency=key)])
    async with lab.open(lab.workflow(ask, more, loop)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        if pause:
            await engine.pause(done.run.id)
            await engine.unpause(done.run.id)
        for _ in range(4):
            done = await lab.finish(engine, done.run)
            assert (done.state, len(done.waits)) == ("input-required", 1)
            await engine.resume(done.waits[0].id, Answer("x"))
        done = await lab.finish(engine, done.run)
    assert (done.state, done.results["more"]) == ("completed", 1)
