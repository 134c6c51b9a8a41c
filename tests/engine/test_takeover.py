"""Hosts beside each other on one store: who is alive, who takes over, and commits that are refused."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow.engine import Answer
from agentflow.errors import StoreError
from agentflow.steps import delay, set_, wait_for_input
from agentflow.store import open_store
from agentflow.store.contract import Definitions, Fenced, RunChange, Store
from agentflow.store.sqlite.file.liveness import FileLiveness
from tests.engine.hands import Fails, Gate, by_hand
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@asynccontextmanager
async def opened(db: Path) -> AsyncGenerator[Store]:
    store = await open_store(db)
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.case("F-D-10", "F-D-11", "W-E-17")
async def test_a_host_is_alive_as_long_as_it_lives_however_long_its_step_takes(lab: Lab, db: Path) -> None:
    """Divergence: alive or dead, nothing between. A host holds its file lock or it doesn't: no heartbeat is late."""
    gate = Gate("once")
    flow = lab.workflow(lab.call("long", gate))
    async with lab.open(flow, store=db) as one, lab.open(flow, store=db) as two:
        run = await one.start("main")
        await gate.inside()
        lab.clock.advance(1_000_000)
        await two.host.takeover.claim()
        assert not await two.adopt(run.id)
        assert two.core.loader.dead == set()
        gate.open()
        done = await lab.finish(two, run)
    assert (done.state, done.output, gate.entered) == ("completed", "once", 1)


@pytest.mark.case("F-D-10")
async def test_a_lock_that_can_be_taken_belongs_to_a_dead_host(tmp_path: Path) -> None:
    one, two = FileLiveness(tmp_path), FileLiveness(tmp_path)
    await one.join("one")
    await two.join("two")
    assert await two.dead(["one", "two", "never was"]) == {"never was"}
    await one.leave()
    assert await two.dead(["one"]) == {"one"}
    await two.leave()


async def test_whether_a_run_is_executed_shows_in_its_hosts_lock(lab: Lab, db: Path) -> None:
    """A run that only waits for a time has no holder: it is abandoned only when no host is left at all."""
    lab, gate = by_hand(lab), Gate()
    flow, later = lab.workflow(lab.call("long", gate)), lab.workflow(delay("nap", for_="1h"), id="later")
    async with lab.open(store=db, host="none") as looking:
        async with lab.open(flow, later, store=db) as engine:
            run, napping = await engine.start("main"), await engine.start("later")
            await gate.inside()
            with anyio.fail_after(LIMIT):
                while (await looking.get(napping.id)).holder is not None:
                    await checkpoint()
            open_ones = [await looking.get(run.id), await looking.get(napping.id)]
            assert await looking.hosted(open_ones) == {run.id: True, napping.id: None}
            gate.open()
            done = await lab.finish(engine, run)
        again = [await looking.get(run.id), await looking.get(napping.id)]
        assert (done.state, await looking.hosted(again)) == ("completed", {run.id: None, napping.id: False})
    async with lab.open(flow) as engine:
        assert list((await engine.hosted([await engine.start("main")])).values()) == [None]


@pytest.mark.case("F-D-7", "F-D-8", "W-E-17")
async def test_a_dead_hosts_run_is_taken_by_a_living_one_and_its_late_result_is_refused(lab: Lab, db: Path) -> None:
    stuck, after = Gate("late"), Fails(0, "after")
    flow = lab.workflow(lab.call("a", stuck), lab.call("b", after))
    async with lab.open(flow, store=db) as one:
        run = await one.start("main")
        await stuck.inside()
        other = Gate("taken over")
        other.open()
        lab.functions["lab:f0"] = other
        async with lab.open(flow, store=db) as two:
            two.core.loader.dead = {one.store.holder}
            two.host.takeover.find_dead = _nothing
            assert await two.adopt(run.id)
            done = await lab.finish(two, run)
            assert done.results["a"] == "taken over"
            stuck.open()
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(LIMIT):
                await one.core.idle()
            final = await lab.look(two, run.id)
    assert (final.state, final.results["a"], final.output, after.calls) == ("completed", "taken over", "after", 1)
    assert final.steps_of("step_completed") == ["a", "b"]


async def test_a_commit_that_the_store_refuses_is_made_again_and_no_result_is_lost(lab: Lab, db: Path) -> None:
    """The disk is full, say: nothing was saved, the step isn't run again, and its neighbour goes on undisturbed."""
    beside, once = Gate("beside"), Fails(0, "once")
    steps = (
        lab.call("beside", beside),
        lab.call("a", once, at_most_once=True),
        lab.call("b", Fails(0, "b"), depends_on="a"),
    )
    flow = lab.workflow(*steps, execution="parallel")
    async with opened(db) as store, lab.open(flow, store=store) as engine:
        commit, refused = store.commit, 0

        async def full(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            nonlocal refused
            if not refused and any(row.address == "a" and row.state == "completed" for c in changes for row in c.steps):
                refused += 1
                raise StoreError("the disk is full", code="AF-STORE-FULL")
            return await commit(changes, definitions)

        store.commit = full
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "b")
        beside.open()
        done = await lab.finish(engine, run)
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
    assert (done.state, refused, once.calls, beside.entered) == ("completed", 1, 1, 1)
    assert done.results == {"beside": "beside", "a": "once", "b": "b"}


async def test_an_answer_whose_effect_the_store_refused_is_kept_and_carried_out_after_all(lab: Lab, db: Path) -> None:
    flow = lab.workflow(wait_for_input("ask", message="?"), set_("b", value="{steps.ask}"))
    async with opened(db) as store, lab.open(flow, store=store) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        commit, refused = store.commit, 0

        async def full(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            nonlocal refused
            if not refused:
                refused += 1
                raise StoreError("the disk is full", code="AF-STORE-FULL")
            return await commit(changes, definitions)

        store.commit = full
        await engine.resume(parked.run.id, Answer(5))
        await until(engine, parked.run.id, "run_completed")
        assert (await engine.get(parked.run.id)).output == 5


async def _nothing() -> None:
    """Don't look who is dead: the test says it."""
