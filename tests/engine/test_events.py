"""The log of a run, and what callers see of runs and tasks while they go on."""

from __future__ import annotations

import anyio
import pytest

from agentflow.engine import Engine, Run
from agentflow.steps import parallel, set_, wait_for_input, workflow
from agentflow.store.contract import RunQuery
from tests.engine.hands import Fails, Gate
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.mark.case("D-EV-1", "W-E-15")
async def test_two_steps_give_their_events_in_order(lab: Lab) -> None:
    done = await lab.run(set_("s1", value=1), set_("s2", value=2))
    assert [(event.type, event.step) for event in done.events] == [
        ("run_started", None),
        ("step_started", "s1"),
        ("step_completed", "s1"),
        ("step_started", "s2"),
        ("step_completed", "s2"),
        ("run_completed", None),
    ]
    assert [event.seq for event in done.events] == list(range(1, 7))


@pytest.mark.case("D-EV-2")
async def test_a_failed_run_ends_with_its_failure_and_the_failed_steps_are_told(lab: Lab) -> None:
    done = await lab.run(set_("a", value=1), lab.call("b", Fails()), set_("c", value=3))
    last = done.events[-1]
    assert (last.type, last.data["error"]["step"]) == ("run_failed", "b")
    assert done.steps_of("step_failed") == ["b"]
    assert "run_completed" not in done.kinds
    assert len(done.states) == 3


async def test_a_subscriber_goes_on_after_a_number_and_misses_nothing(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1), set_("b", value=2))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        for after in range(len(done.events)):
            with anyio.fail_after(LIMIT):
                assert [event async for event in engine.subscribe(done.run.id, after)] == done.events[after:]


@pytest.mark.case("D-TK-1")
async def test_cancelling_a_run_cancels_everything_open_below_it_and_nothing_that_has_ended(lab: Lab) -> None:
    gate = Gate()
    grandchild = lab.workflow(lab.call("hang", gate), id="grandchild")
    child = lab.workflow(set_("ended", value=1), workflow("down", workflow="grandchild"), id="child")
    both = parallel("both", steps=[workflow("open", workflow="child"), wait_for_input("ask", message="?")])
    root = lab.workflow(workflow("first", workflow="quick"), both)
    quick = lab.workflow(set_("a", value=1), id="quick")
    async with lab.open(root, child, grandchild, quick) as engine:
        run = await engine.start("main")
        await gate.inside()
        ended = {row.id for row in await below(engine, run.id) if row.state == "completed"}
        assert len(ended) == 1
        with anyio.fail_after(LIMIT):
            await engine.cancel(run.id)
        assert (await lab.finish(engine, run)).state == "canceled"
        runs = await below(engine, run.id)
        assert {row.state for row in runs if row.id in ended} == {"completed"}
        assert {row.state for row in runs if row.id not in ended} == {"canceled"}
        assert (len(runs), gate.interrupted) == (3, 1)
        assert not await engine.waits(run.id)
        again = await engine.cancel(run.id)
        assert (again.state, again.seq) == ("canceled", (await engine.get(run.id)).seq)


@pytest.mark.case("D-TK-1")
async def test_cancelling_a_completed_run_changes_nothing(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert await engine.cancel(done.run.id) == done.run
        assert (await lab.look(engine, done.run.id)).events == done.events


@pytest.mark.case("D-TK-2")
async def test_a_wait_that_times_out_gives_the_current_state_and_no_error(lab: Lab) -> None:
    gate = Gate()
    async with lab.open(lab.workflow(lab.call("a", gate))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_started", "a")
        with anyio.fail_after(LIMIT):
            assert (await engine.wait(run.id, timeout=0)).state == "working"
        gate.open()
        assert (await lab.finish(engine, run)).state == "completed"


async def below(engine: Engine, run_id: str) -> list[Run]:
    """Return the runs below a run, all levels."""
    found: list[Run] = []
    open_ = [run_id]
    while open_:
        children = await engine.list(RunQuery(parent=open_.pop()))
        found += children
        open_ += [child.id for child in children]
    return found
