"""A tree that is rebuilt from its rows: of what is over the rows stay, until somebody looks inside."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from agentflow import Engine
from agentflow.engine import Answer
from agentflow.engine.host.restore import restore
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.results import result_value
from agentflow.engine.plan.state import RunState
from agentflow.errors import StoreError
from agentflow.steps import for_each, parallel, saga, sequence, set_, wait_for_input
from agentflow.steps import until as until_
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import StepRow
from agentflow.store.sqlite.sql import do
from tests.engine.hands import Fails, same
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

WAIT = wait_for_input("wait", message="?")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def stored(engine: Engine, run_id: str) -> LoadedTree:
    """Return the rows of a run."""
    row = await engine.store.get_run(run_id)
    assert row is not None
    loaded = await engine.store.load(row.run)
    assert loaded is not None
    return loaded


async def restored(engine: Engine, run_id: str) -> RunState:
    """Return a run rebuilt from its rows, beside what the engine has in memory."""
    loaded = await stored(engine, run_id)
    return restore(engine.core.env, loaded, engine.core.env.program).root


def body_of(run: RunState) -> Scope:
    """Return the run's own list of steps."""
    return (run.root.scopes or {})["steps"]


async def test_containers_that_are_over_stay_rows_until_their_results_are_read(lab: Lab) -> None:
    flow = lab.workflow(
        for_each("loop", in_=[1, 2], steps=[set_("one", value="{item}"), parallel("box", steps=[set_("in", value=3)])]),
        WAIT,
    )
    async with lab.open(flow) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        root = await restored(engine, run.id)
    steps = body_of(root)
    assert isinstance(steps.nodes[0], StepRow)
    loop = steps.at(0)
    assert loop is not None
    assert result_value(root, loop) == [{"one": 1, "box": {"in": 3}}, {"one": 2, "box": {"in": 3}}]
    scopes = [*(loop.scopes or {}).values()]
    assert (loop.opened, loop.closed, [scope.closed for scope in scopes]) == (2, 2, [True, True])
    assert root.live.keys() == {1}


@pytest.mark.parametrize("column", ["memo", "error"])
async def test_what_cant_be_read_of_a_step_that_is_over_keeps_its_tree_from_being_rebuilt(
    lab: Lab, db: Path, column: str
) -> None:
    loop = for_each("loop", in_=[1], steps=[lab.call("bad", Fails(), on_error="continue")])
    flow = lab.workflow(loop, WAIT)
    async with lab.open(flow, store=db) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        run.waiting("wait")
    address = {"memo": "loop", "error": "loop[0]/bad"}[column]
    written = apsw.Connection(str(db))
    do(written, f"UPDATE steps SET {column} = ? WHERE address = ?", (b"{", address))
    written.close()
    async with lab.open(flow, store=db) as engine:
        with pytest.raises(StoreError) as caught:
            await restored(engine, run.id)
    assert caught.value.code == "AF-STORE-DAMAGED"


@pytest.mark.parametrize("inside", ["failed", "hook", "undone"])
async def test_of_a_container_that_is_over_all_is_opened_where_its_rows_are_not_enough(lab: Lab, inside: str) -> None:
    failed = sequence("box", steps=[lab.call("bad", Fails())], on_error="continue")
    hook = sequence("box", steps=[set_("in", value=1)], finally_=[set_("after", value=2)])
    undone = sequence("box", steps=[saga("trip", steps=[
        set_("paid", value=1, compensate=[set_("refund", value=2)]), lab.call("bad", Fails()),
    ])], on_error="continue")  # fmt: skip
    box = {"failed": failed, "hook": hook, "undone": undone}[inside]
    async with lab.open(lab.workflow(box, WAIT)) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        run.waiting("wait")
        root = await restored(engine, run.id)
    assert not isinstance(body_of(root).nodes[0], StepRow)
    failures = {"failed": ["box/bad"], "hook": [], "undone": ["box/trip/bad"]}
    assert [failure.step for failure in root.failures] == failures[inside]


async def test_a_group_that_is_tried_again_after_a_restart_counts_on_from_what_was_over_inside(
    lab: Lab, db: Path
) -> None:
    count, bad = Fails(0), Fails(1)
    rounds = until_("rounds", condition="{index} == 1", steps=[lab.call("turn", count)], max_iterations=5)
    box = sequence("box", steps=[
        parallel("in", steps=[lab.call("one", same, input={"n": 1}), rounds]), WAIT, lab.call("bad", bad),
    ], retry={"max_attempts": 2})  # fmt: skip
    flow = lab.workflow(box)
    async with lab.open(flow, store=db) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        before = {row.address: row for row in (await stored(engine, run.id)).runs[0].steps}
    async with lab.open(flow, store=db) as engine:
        await engine.resume(run.id, Answer({}))
        again = await lab.finish(engine, await engine.get(run.id))
        again.waiting("box/wait")
        after = {row.address: row for row in (await stored(engine, run.id)).runs[0].steps}
        await engine.resume(run.id, Answer({}))
        (await lab.finish(engine, await engine.get(run.id))).completed()
    assert (count.calls, bad.calls) == (4, 2)
    inside = ["box/in/one", "box/in/rounds", "box/in/rounds[0]/turn", "box/in/rounds[1]/turn"]
    assert [before[address].attempt for address in inside] == [1, 1, 1, 1]
    assert [after[address].attempt for address in inside] == [2, 2, 2, 2]
    assert [after[address].n for address in inside] == [before[address].n for address in inside]


async def test_a_step_that_is_over_is_seen_when_its_bodies_are_open(lab: Lab) -> None:
    """Steps in threads read of it while the loop does."""
    flow = lab.workflow(for_each("loop", in_=[1, 2], steps=[set_("one", value="{item}")]), WAIT)
    async with lab.open(flow) as engine:
        run = await lab.finish(engine, await engine.start("main"))
        steps = body_of(await restored(engine, run.id))
    assert steps.unread is not None
    opens, seen = steps.unread[0], list[bool]()

    def look(node: Node) -> None:
        opens(node)
        seen.append(isinstance(steps.nodes[0], StepRow))

    steps.unread[0] = look
    loop = steps.at(0)
    assert loop is not None
    assert (seen, len(loop.scopes or {}), steps.at(0) is loop) == ([True], 2, True)
