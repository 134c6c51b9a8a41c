"""Workflows that are given to `start`: they are for that run, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.engine.catalog import RECENT
from agentflow.steps import set_, wait_for_input, workflow
from agentflow.store import open_store
from agentflow.store.sqlite.sql import number
from tests.engine.hands import Fails
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


def flow(value: Any, id: str = "main") -> Workflow:  # noqa: A002  named as in the config
    """Return a workflow that gives a value."""
    return Workflow(id=id, steps=(set_("a", value=value),))


async def test_a_given_workflow_leaves_the_configured_one_of_its_name_alone(lab: Lab) -> None:
    calls = lab.workflow(workflow("w", workflow="main"), id="calls")
    async with lab.open(flow("configured"), calls) as engine:
        original = engine.core.env.catalog.originals["main"]
        given = await lab.finish(engine, await engine.start(flow("given")))
        for name in ("main", "calls"):
            assert (await lab.finish(engine, await engine.start(name))).output == "configured"
        assert (given.output, engine.core.env.catalog.originals["main"]) == ("given", original)
        assert (await lab.finish(engine, await engine.start(original))).output == "configured"


async def test_a_run_of_a_given_workflow_goes_on_as_that_one_in_another_process(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    given = lab.workflow(wait_for_input("ask", message="?"), workflow("w", workflow="sub"), set_("a", value="given"))
    async with lab.open(flow("configured"), flow("old", "sub"), store=path) as engine:
        run = (await lab.finish(engine, await engine.start(given))).run
    async with lab.open(flow("configured"), flow("new", "sub"), store=path) as engine:
        await engine.resume(run.id, Answer("x"))
        done = await lab.finish(engine, run)
    assert (done.output, done.results["w"]) == ("given", "old")


async def test_a_given_workflow_that_fails_is_retried_as_it_was_given(lab: Lab) -> None:
    given = lab.workflow(lab.call("flaky", Fails(1)), set_("a", value="given"))
    async with lab.open(flow("configured")) as engine:
        failed = await lab.finish(engine, await engine.start(given))
        assert failed.state == "failed"
        again = await engine.retry(failed.run.id)
        assert isinstance(again, Run)
        assert (await lab.finish(engine, again)).output == "given"


async def test_a_given_workflow_that_calls_its_own_name_calls_itself(lab: Lab) -> None:
    down = workflow("down", workflow="{input.name}", input={"n": 0, "name": "main"}, if_="{input.n} > 0")
    given = lab.workflow(down, set_("a", value="given {input.n}"), output=["{steps.a}", "{steps.down}"])
    async with lab.open(flow("configured")) as engine:
        done = await lab.finish(engine, await engine.start(given, {"n": 1, "name": "main"}))
    assert done.output == ["given 1", ["given 0", None]]


async def test_hundreds_of_given_workflows_leave_nothing_behind(tmp_path: Path) -> None:
    count, path = 300, tmp_path / "runs.db"
    store = await open_store(path, durability="relaxed")
    async with Engine.open(store, workflows=[flow("configured"), flow("sub", "sub")]) as engine:
        with anyio.fail_after(LIMIT * 3):
            for n in range(0, count, 50):
                async with anyio.create_task_group() as group:
                    for i in range(n, n + 50):
                        steps = (set_("a", value=i), workflow("w", workflow="sub"))
                        group.start_soon(_run, engine, Workflow(id=f"given{i}", steps=steps))
        core = engine.core
        assert len(core.env.catalog.programs) <= RECENT + 2
        assert list(core.env.catalog.current) == list(core.env.catalog.originals) == ["main", "sub"]
        assert await engine.purge(-1.0) == count
        db: Any = store
        assert number(db._database.reader, "SELECT count(*) FROM definitions") == 0
        assert number(db._database.reader, "SELECT count(*) FROM pinned") == 0
        assert (await _run(engine, "main")).output == "configured"
    await store.close()


async def _run(engine: Engine, given: Workflow | str) -> Run:
    return await engine.wait((await engine.start(given)).id)


async def test_a_definition_that_another_process_purges_is_there_for_the_next_run(tmp_path: Path) -> None:
    path, given = tmp_path / "runs.db", flow("given", "given")
    async with Engine.open(path) as one, Engine.open(path, host="own") as two:
        with anyio.fail_after(LIMIT):
            for _ in range(3):
                await _run(one, given)
                assert await two.purge(-1.0) == 1
                run = await one.start(given)
                assert (await two.wait(run.id)).output == "given"
                assert await one.store.get_definition((await one.store.get_run(run.id)).definition)  # type: ignore[union-attr]  it is there
                assert await two.purge(-1.0) == 1
