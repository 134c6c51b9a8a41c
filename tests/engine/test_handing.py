"""What becomes of steps that are handed to workers elsewhere, whatever the runtime does, brings, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow.engine import Answer, Engine
from agentflow.errors import StoreError
from agentflow.steps import wait_for_input
from agentflow.store import open_store
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange
from agentflow.store.sqlite.sql import do
from agentflow.testing import dying, fault
from tests.engine.hands import Fails, Gate, by_hand, eventually
from tests.engine.held import held_store
from tests.engine.lab import Lab, until
from tests.engine.workers import Workers

pytestmark = pytest.mark.anyio


def at_once(engine: Engine) -> list[float]:
    """Let nothing pause; returns for how long it would have."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    assert engine.core.handing is not None
    engine.core.handing.pause = pause
    return pauses


@pytest.mark.parametrize(
    "outcome",
    [
        {"stopped": "fenced"},
        {"failure": {"code": "AF-INTERRUPTED", "message": "it is over", "kind": "crash", "retryable": False}},
    ],
    ids=["stopped", "refused"],
)
async def test_an_attempt_that_its_worker_took_for_over_is_made_anew(lab: Lab, outcome: dict[str, Any]) -> None:
    """A holder before this one has told it so."""
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        assert await workers.bring(await workers.got(), **outcome)
        assert await workers.bring(await workers.got(2), result="5")
        done = await lab.finish(engine, run)
        row = (await engine.steps(run.id))[0]
    assert (done.state, done.output, row.attempt, row.crashes) == ("completed", 5, 2, 1)


async def test_a_holder_that_loses_a_tree_stops_none_of_its_attempts(lab: Lab) -> None:
    """Who holds it now may have taken them over."""
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        await workers.got()
        (root,) = engine.core.cache.trees
        engine.core.loader.lose(root)
        assert (workers.stopped, engine.core.slots.running) == ([], 0)
        await engine.cancel(run.id)


async def test_a_runtime_that_cant_hand_out_keeps_nobody_from_going_on(lab: Lab) -> None:
    workers = Workers(OSError("no route"))
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        pauses = at_once(engine)
        run = await engine.start("main")
        await workers.bring(await workers.got(), result="5")
        done = await lab.finish(engine, run)
    assert (done.state, done.output, pauses) == ("completed", 5, [0.2])


async def test_what_is_taken_back_while_it_is_being_handed_out_is_stopped_afterwards(lab: Lab) -> None:
    """The runtime didn't know of it before."""
    workers = Workers()
    workers.slow = anyio.Event()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await engine.cancel(run.id)
        assert (await lab.finish(engine, run)).state == "canceled"
        workers.stopped.clear()
        workers.slow.set()

        async def told() -> bool:
            return workers.stopped == [(key, "run_canceled")]

        await eventually(told)


@pytest.mark.parametrize("late", [False, True], ids=["refused", "an answer came late"])
async def test_a_step_is_taken_over_though_the_first_commit_of_its_tree_comes_to_nothing(
    lab: Lab, tmp_path: Path, late: bool
) -> None:
    """The disk was full, or another process was quicker with an answer."""
    before, after, db = Workers(), Workers(), tmp_path / "runs.db"
    steps = (lab.call("a", Fails(0)), wait_for_input("ask", message="?"))
    flow = lab.workflow(*steps, execution="parallel")
    async with dying(lab.open(flow, store=db, runtime=before)) as first:
        run = await first.start("main")
        key = await before.got()
        await until(first, run.id, "step_waiting", "ask")
    async with lab.open(flow, store=db, host="none") as other:
        await other.resume(run.id, Answer("yes"))
    store = await open_store(db)
    commit, losses = store.commit, 1

    async def loses(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        nonlocal losses
        if not losses:
            return await commit(changes, definitions)
        losses -= 1
        if not late:
            raise StoreError("the disk is full", code="AF-STORE-FULL")
        changes[0].late = ("ask",)
        return [Fenced(changes[0].run)]

    store.commit = loses
    try:
        async with lab.open(flow, store=store, runtime=after) as second:
            assert await after.got(again=True) == key
            assert await after.bring(key, result="5")
            done = await lab.finish(second, run)
    finally:
        await store.close()
    assert (done.state, done.results, losses) == ("completed", {"a": 5, "ask": "yes"}, 0)


async def test_whether_an_attempt_is_over_is_told_by_a_holder_that_has_its_tree(lab: Lab, tmp_path: Path) -> None:
    """Before, and when it is about to end, it may still be taken over."""
    before, after, db = Workers(), Workers(), tmp_path / "runs.db"
    flow = lab.workflow(lab.call("a", Fails(0)), lab.call("b", Fails(0)))
    async with dying(lab.open(flow, store=db, runtime=before)) as first:
        run = await first.start("main")
        key = await before.got()
    async with lab.open(flow, store=db, runtime=after, host="own") as second:
        await anyio.wait_all_tasks_blocked()
        assert after.holder is not None
        assert not after.holder.knows(key)
        assert await second.adopt(run.id)
        assert await after.got(again=True) == key
        assert after.holder.knows(key)
        assert await after.bring(key, result="5")
        other = await after.got()
        assert after.holder.knows(key)
        assert not await after.bring(key, result="6")
        assert after.holder.knows(other)
    assert not after.holder.knows(other)


async def test_an_outcome_is_answered_when_it_is_committed_and_a_crash_before_loses_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    """The worker keeps it until then, and brings it to who holds the run next."""
    before, after, db = Workers(), Workers(), tmp_path / "runs.db"
    flow = lab.workflow(lab.call("a", Fails(0), at_most_once=True))
    async with dying(lab.open(flow, store=db, runtime=before)) as first:
        run = await first.start("main")
        key = await before.got()
        async with anyio.create_task_group() as group:
            with fault("before-commit") as crash:
                group.start_soon(partial(before.bring, key, result="5"))
                await eventually(_true_of(lambda: crash.struck))
    assert before.answered == 0
    async with lab.open(flow, store=db, runtime=after) as second:
        assert await after.got(again=True) == key
        assert await after.bring(key, result="5")
        done = await lab.finish(second, run)
    assert (done.state, done.output, after.answered) == ("completed", 5, 1)


async def test_a_delivery_that_doubles_is_answered_when_the_first_one_is_committed(lab: Lab, tmp_path: Path) -> None:
    workers = Workers()
    flow = lab.workflow(lab.call("a", Fails(0)))
    async with held_store(tmp_path / "runs.db") as held, held.open(lab, flow, runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        answers: list[bool | None] = []

        async def brings() -> None:
            answers.append(await workers.bring(key, result="5"))

        async with anyio.create_task_group() as group:
            group.start_soon(brings)
            group.start_soon(brings)
            await held.entered()
            assert answers == []
            held.let_go()
        assert (await lab.finish(engine, run)).output == 5
    assert sorted(map(str, answers)) == ["False", "True"]


async def test_an_outcome_whose_tree_is_lost_before_its_commit_is_kept_for_who_has_it_now(
    lab: Lab, tmp_path: Path
) -> None:
    workers, db = Workers(), tmp_path / "runs.db"
    flow = lab.workflow(lab.call("a", Fails(0)))
    async with held_store(db) as held, lab.open(flow, store=held.store, runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        answers: list[bool | None] = []

        async def brings() -> None:
            answers.append(await workers.bring(key, result="5"))

        async with anyio.create_task_group() as group:
            group.start_soon(brings)
            await held.entered()
            _taken_over(db)
            held.let_go()
        assert workers.holder is not None
        assert (answers, workers.holder.knows(key)) == ([None], False)
        assert (await engine.get(run.id)).state == "working"


def _taken_over(db: Path) -> None:
    """Let another host have all trees."""
    connection = apsw.Connection(str(db))
    do(connection, "UPDATE heads SET holder = 'other', epoch = epoch + 1")
    connection.close()


@pytest.mark.parametrize("how", ["stops", "is gone", "takes too long", "has ended just before"])
async def test_a_step_elsewhere_holds_its_slot_until_its_worker_has_stopped(lab: Lab, how: str) -> None:
    """Two at once would be one too many for its key. Who doesn't stop in a decent time isn't waited for."""
    workers, pause = Workers(), Gate()
    workers.busy = True
    one = {"key": "the one", "limit": 1}
    flows = [lab.workflow(lab.call("a", Fails(0), concurrency=one), id=name) for name in ("first", "second")]
    async with lab.open(*flows, runtime=workers) as engine:
        assert engine.core.handing is not None
        seconds: list[float] = []

        async def pauses(time: float) -> None:
            seconds.append(time)
            await pause()

        engine.core.handing.pause = pauses
        stops, waits = [await engine.start(flow.id) for flow in flows]
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        await engine.cancel(stops.id)
        await anyio.wait_all_tasks_blocked()
        assert (workers.stopped, len(workers.out), seconds) == ([(key, "run_canceled")], 1, [5.0])
        assert workers.holder is not None
        if how == "stops":
            assert await workers.bring(key, stopped="run_canceled")
        elif how == "has ended just before":
            assert await workers.bring(key, result="5")
        elif how == "is gone":
            workers.holder.lost(key)
        else:
            pause.open()
        second = await workers.got(2)
        assert not await workers.bring(key, result="6")
        assert await workers.bring(second, result="7")
        assert (await lab.finish(engine, stops)).state == "canceled"
        assert (await lab.finish(engine, waits)).output == 7
        pause.open()


async def test_an_attempt_elsewhere_whose_time_is_over_is_repeated_when_it_has_stopped(lab: Lab) -> None:
    still, workers = by_hand(lab), Workers()
    workers.busy = True
    step = still.call("a", Fails(0), timeout=10, retry={"max_attempts": 2, "base": 0})
    async with still.open(still.workflow(step), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        still.clock.advance(10)
        await eventually(_true_of(lambda: workers.stopped == [(key, "timeout")]))
        await anyio.wait_all_tasks_blocked()
        assert len(workers.out) == 1
        assert await workers.bring(key, stopped="timeout")
        assert await workers.bring(await workers.got(2), result="7")
        done = await still.finish(engine, run)
    assert (done.output, done.tries) == (7, {"a": 2})


async def test_an_engine_tells_what_keeps_its_runs_from_going_on(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """In the log once each, while steps wait for workers; and to whoever asks."""
    workers = Workers()
    workers.ill = "no worker is connected"
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        handing = engine.core.handing
        assert handing is not None
        await handing.look()
        assert (await engine.health(), caplog.messages) == (["no worker is connected"], [])
        run = await engine.start("main")
        key = await workers.got()
        await handing.look()
        await handing.look()
        assert caplog.messages == ["steps wait for workers: no worker is connected"]
        engine.core.health.refused = StoreError("the disk is full", code="AF-STORE-FULL")
        assert [text[:16] for text in await engine.health()] == ["the disk is full", "no worker is con"]
        workers.ill = engine.core.health.refused = None
        await handing.look()
        assert caplog.messages[1:] == ["workers take steps again"]
        assert await workers.bring(key, result="5")
        assert ((await lab.finish(engine, run)).output, await engine.health()) == (5, [])


def _true_of(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return condition()

    return look


async def test_who_takes_over_a_step_that_was_being_stopped_has_it_stopped(lab: Lab, tmp_path: Path) -> None:
    """The host before died, or left, before its worker had stopped."""
    before, after = Workers(), Workers()
    before.busy = after.busy = True
    flow = lab.workflow(lab.call("a", Fails(0)))
    async with dying(lab.open(flow, store=tmp_path / "runs.db", runtime=before)) as engine:
        run = await engine.start("main")
        key = await before.got()
        await engine.cancel(run.id)
        await eventually(lambda: _is(before.stopped == [(key, "run_canceled")]))
    async with lab.open(flow, store=tmp_path / "runs.db", runtime=after, clock=None) as engine:
        at_once(engine)
        assert await after.got(again=True) == key
        done = await lab.finish(engine, run)
    assert (done.state, after.stopped) == ("canceled", [(key, "run_canceled")])


async def _is(told: bool) -> bool:
    return told


async def test_a_park_that_comes_while_its_step_is_being_cancelled_parks_nothing(lab: Lab, tmp_path: Path) -> None:
    """Its worker can't have heard of it: the cancel isn't committed yet."""
    workers = Workers()
    workers.busy = True
    flow = lab.workflow(lab.call("a", Fails(0)))
    on: dict[str, Any] = {
        "kind": "input",
        "message": "?",
        "schema": None,
        "timeout": None,
        "assignees": [],
        "details": {},
    }
    park: dict[str, Any] = {"kind": "wait", "on": on, "state": None, "then": "enter"}
    async with held_store(tmp_path / "runs.db") as held, held.open(lab, flow, runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.cancel, run.id)
            await held.entered()
            group.start_soon(partial(workers.bring, key, park=park))
            await anyio.wait_all_tasks_blocked()
            held.let_go()
        done = await lab.finish(engine, run)
        assert await engine.waits(run.id) == []
    assert done.state == "canceled"
