"""Steps that only compute are executed in the transaction that claims them: so many, and nothing of it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer
from agentflow.engine.host import computing
from agentflow.errors import StoreError
from agentflow.steps import for_each, set_, wait_for_input
from agentflow.store.rows import RunChange
from tests.engine.held import held_store
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


def is_here(lab: Lab) -> bool:
    """Tell whether steps are executed in this process as they are: only then some are computed at once."""
    return not lab.wire and lab.crew is None


async def test_a_run_of_steps_that_only_compute_is_one_commit_and_tells_all_events(lab: Lab, tmp_path: Path) -> None:
    flow = lab.workflow(set_("a", value=1), set_("b", value="{steps.a}"), set_("c", value="{steps.b}"))
    async with held_store(tmp_path / "runs.db") as store, store.open(lab, flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        commits = len(store.commits)
    assert (done.state, done.results["c"], commits) == ("completed", 1, 1 if is_here(lab) else 4)
    assert done.steps_of("step_started") == done.steps_of("step_completed") == ["a", "b", "c"]
    assert [event.seq for event in done.events] == list(range(1, len(done.events) + 1))


async def test_so_many_share_a_commit_and_no_more_that_others_have_their_turn(lab: Lab, tmp_path: Path) -> None:
    many = computing.MOST * 3
    flow = lab.workflow(*(set_(f"s{n}", value=n) for n in range(many)))
    async with held_store(tmp_path / "runs.db") as store, store.open(lab, flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        commits = len(store.commits)
    assert (done.state, len(done.results)) == ("completed", many)
    assert 3 <= commits < (many if is_here(lab) else many + 2)


async def test_what_was_computed_in_a_refused_commit_is_computed_again(lab: Lab, tmp_path: Path) -> None:
    refused: list[int] = []

    def once(changes: Sequence[RunChange]) -> Exception | None:
        if refused or not any(event.type == "step_completed" for change in changes for event in change.events):
            return None
        refused.append(1)
        return StoreError("the disk is full", code="AF-STORE-WRITE")

    flow = lab.workflow(
        wait_for_input("ask", message="?"), set_("a", value="{steps.ask}"), set_("b", value="{steps.a}")
    )
    async with held_store(tmp_path / "runs.db") as store, store.open(lab, flow) as engine:
        run = await engine.start("main")
        await engine.wait(run.id)
        (wait,) = await engine.waits(run.id)
        store.fault = once
        with anyio.fail_after(LIMIT):
            await engine.resume(wait.id, Answer("yes"))
        done = await lab.finish(engine, run)
    assert (done.state, done.results["b"], refused) == ("completed", "yes", [1])
    assert done.steps_of("step_completed") == ["ask", "a", "b"]


async def test_one_that_fails_fails_its_run_with_its_reason(lab: Lab) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"data": {}}}
    flow = lab.workflow(set_("a", value="{input.data}"), set_("b", value="{steps.a.m.x}"), input_schema=schema)
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main", {"data": {}}))
    assert (done.state, done.steps_of("step_failed")) == ("failed", ["b"])


async def test_items_of_a_loop_are_computed_in_their_order(lab: Lab) -> None:
    flow = lab.workflow(
        for_each("all", in_=list(range(100)), steps=[set_("twice", value="{item}")]), output="{steps.all}"
    )
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.run.output) == ("completed", [{"twice": n} for n in range(100)])
