"""What becomes of steps that are handed to workers elsewhere, whatever the runtime does, brings, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Engine
from agentflow.errors import StoreError
from agentflow.steps import wait_for_input
from agentflow.store import open_store
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange
from agentflow.testing import dying
from tests.engine.hands import Fails, eventually
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


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"park":{}}', b'{"result":5}'])
async def test_an_outcome_that_cant_be_read_fails_its_step(lab: Lab, raw: bytes) -> None:
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        assert workers.holder is not None
        assert await workers.holder.returned(key, raw)
        done = await lab.finish(engine, run)
    assert (done.state, done.run.failure and done.run.failure.code) == ("failed", "AF-STEP-RAISED")


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
