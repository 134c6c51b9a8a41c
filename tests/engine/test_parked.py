"""Runs that only wait cost their rows: no memory, no reading at the start, and an answer wakes one of them alone."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow.clock import SystemClock
from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Engine
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState, Tree
from agentflow.steps import delay, python, set_, wait_for_event, wait_for_input, workflow
from agentflow.store import open_store
from agentflow.store.contract import Definitions, Fenced, RunChange
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

ASK = wait_for_input("ask", message="Go on?", schema={"type": "integer"})


async def park(engine: Engine, count: int, name: str = "main") -> list[str]:
    """Start runs that wait, and return their ids."""
    ids: list[str] = []
    for _ in range(count):
        run = await engine.start(name)
        with anyio.fail_after(LIMIT):
            ids.append((await engine.wait(run.id)).id)
    return ids


def held(engine: Engine) -> Counter[str]:
    """Count what an engine has in memory of runs."""
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        if isinstance(thing, Tree):
            mine = thing.env is engine.core.env
        elif isinstance(thing, RunState):
            mine = thing.tree.env is engine.core.env
        else:
            mine = isinstance(thing, Node | Scope)
        found.update([type(thing).__name__] if mine else [])
    return found


@pytest.mark.parametrize("host", ["all", "own"])
async def test_runs_that_wait_leave_nothing_in_memory(lab: Lab, tmp_path: Path, host: str) -> None:
    """Waits with a timeout, for an event and inside a child run too: nothing is left but their rows."""
    flows = [
        lab.workflow(set_("first", value=1), wait_for_input("ask", message="?", timeout="1h", default=0), id="timed"),
        lab.workflow(wait_for_event("paid", topic="paid"), id="event"),
        lab.workflow(workflow("below", workflow="timed"), id="parent"),
        lab.workflow(delay("nap", for_="1h"), id="nap"),
    ]
    async with lab.open(*flows, store=tmp_path / "runs.db", host=host, clock=SystemClock()) as engine:
        before = held(engine)
        for flow in flows[:3]:
            await park(engine, 5, flow.id)
        for _ in range(5):
            await engine.start("nap")
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        assert held(engine) == before
        core = engine.core
        assert not core.cache.trees
        assert not core.cache.runs
        assert not core.cache.keys
        assert len(engine.host.takeover.own) == (0 if host == "all" else 20)
        assert len(await engine.list()) == 20


async def test_an_answer_wakes_one_run_with_one_commit(lab: Lab, tmp_path: Path) -> None:
    gate = Gate()
    flow = lab.workflow(ASK, lab.call("after", gate))
    store = await open_store(tmp_path / "runs.db")
    async with lab.open(flow, store=store) as engine:
        ids = await park(engine, 6)
        load, commit = store.load, store.commit
        loads: list[int] = []
        commits: list[list[int]] = []

        async def loading(root: int) -> Any:
            loads.append(root)
            return await load(root)

        async def committing(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            commits.append([change.run for change in changes])
            return await commit(changes, definitions)

        store.load, store.commit = loading, committing
        (wait,) = await engine.waits(ids[3])
        answered = await engine.resume(wait.id, Answer(7), by="ann", message_id="m1")
        with anyio.fail_after(LIMIT):
            await gate.inside()
        row = await store.get_run(ids[3])
        assert row is not None
        assert set(loads) == {row.run}
        assert commits == [[row.run]]
        assert list(engine.core.cache.trees) == [row.run]
        stored = await store.get_task(wait.id)
        assert stored is not None
        assert (answered.state, answered.by, answered.answer) == (stored.task.state, stored.by, {"value": 7})
        gate.open()
        with anyio.fail_after(LIMIT):
            assert (await engine.wait(ids[3])).state == "completed"
    await store.close()


async def test_answers_given_at_once_share_a_commit(lab: Lab, tmp_path: Path) -> None:
    flow = lab.workflow(ASK, set_("after", value="{steps.ask}"))
    store = await open_store(tmp_path / "runs.db")
    async with lab.open(flow, store=store) as engine:
        ids = await park(engine, 30)
        commit, sizes = store.commit, list[int]()

        async def committing(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            sizes.append(len(changes))
            return await commit(changes, definitions)

        store.commit = committing
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as group:
                for n, run_id in enumerate(ids):
                    group.start_soon(engine.resume, run_id, Answer(n))
            ended = [await engine.wait(run_id) for run_id in ids]
        assert [run.output for run in ended] == list(range(30))
        assert max(sizes) > 1
        assert len(sizes) < 30
    await store.close()


@contextmanager
def steps_of_statements() -> Generator[dict[str, int]]:
    """Count the most steps that SQLite makes for each statement, on connections that are opened meanwhile."""
    most: dict[str, int] = {}

    def ended(event: dict[str, Any]) -> None:
        sql, made = str(event["sql"]), int(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])
        most[sql] = max(most.get(sql, 0), made)

    def opened(db: Any) -> None:
        db.trace_v2(apsw.SQLITE_TRACE_PROFILE, ended)

    apsw.connection_hooks.append(opened)
    try:
        yield most
    finally:
        apsw.connection_hooks.remove(opened)


async def boot(lab: Lab, db: Path, flow: Workflow) -> dict[str, int]:
    """Open an engine until it has nothing to do; return the steps of each statement."""
    with steps_of_statements() as most:
        async with lab.open(flow, store=db, clock=SystemClock()):
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            return dict(most)


async def test_a_process_starts_over_many_waiting_runs_as_over_few(lab: Lab, tmp_path: Path) -> None:
    """Every statement makes as many steps with 500 of them as with 10; one that looked at all would make more."""
    flow = lab.workflow(wait_for_input("ask", message="?", timeout="1h"), python("next", function="lab:none"))
    steps: list[dict[str, int]] = []
    for count in (10, 500):
        db = tmp_path / f"{count}.db"
        async with lab.open(flow, store=db, clock=SystemClock()) as engine, anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(engine.start, "main")
        steps.append(await boot(lab, db, flow))
    few, many = steps
    assert any("timers" in sql for sql in few)
    assert any("holder IS NULL" in sql for sql in few)
    assert {sql: made for sql, made in many.items() if made > few.get(sql, 0)} == {}
