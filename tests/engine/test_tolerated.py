"""Failures that were tolerated are counted in the run, wherever they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import Step
from agentflow.steps import for_each, parallel, poll, saga, sequence, set_, wait_for_input, while_
from agentflow.steps import workflow as sub
from tests.engine.hands import Fails
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


def odd(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def lossy(lab: Lab) -> Step:
    return lab.call("get", odd, input={"item": "{item}"}, on_error="continue")


async def counted(lab: Lab, *steps: Step, **fields: Any) -> int:
    done = await lab.run(*steps, **fields)
    assert done.state == "completed"
    ended: Any = next(event for event in done.events if event.type == "run_completed").data
    assert (ended["tolerated"] if ended else 0) == done.run.tolerated
    return done.run.tolerated


async def test_a_run_without_tolerated_failures_counts_none(lab: Lab) -> None:
    assert await counted(lab, set_("a", value=1)) == 0


async def test_items_of_loops_and_steps_of_groups_count(lab: Lab) -> None:
    bad = lab.call("bad", Fails(), on_error="continue")
    assert await counted(lab, for_each("each", in_=list(range(7)), steps=[lossy(lab)])) == 3
    assert await counted(lab, parallel("p", steps=[bad]), sequence("s", steps=[bad]), saga("g", steps=[bad])) == 3
    assert await counted(lab, while_("w", condition="{index} < 2", max_iterations=5, steps=[bad])) == 2


async def test_a_tolerated_container_is_one_failure(lab: Lab) -> None:
    each = for_each("each", in_=[1, 2], steps=[lab.call("x", Fails())], on_error="continue")
    assert await counted(lab, each) == 1


async def test_a_retried_attempt_that_ends_well_is_no_tolerated_failure(lab: Lab) -> None:
    assert await counted(lab, lab.call("x", Fails(1), retry={"max_attempts": 3, "base": 0})) == 0


async def test_a_container_that_is_tried_again_takes_its_count_back(lab: Lab) -> None:
    bad = lab.call("bad", Fails(), on_error="continue")
    end = lab.call("end", Fails(2))
    box = sequence("box", steps=[bad, end], on_failure=[lab.call("cry", Fails())], retry={"max_attempts": 3, "base": 0})
    assert await counted(lab, box) == 1


async def test_a_poll_counts_its_last_look(lab: Lab) -> None:
    looks = iter([None, None, 1])
    body = [lab.call("bad", Fails(), on_error="continue"), lab.call("look", lambda: next(looks))]
    assert await counted(lab, poll("p", body=body, until="{steps.look} == 1", interval=1)) == 1


async def test_hooks_that_fail_count_where_they_change_nothing(lab: Lab) -> None:
    box = sequence("box", steps=[set_("a", value=1)], on_success=[lab.call("cry", Fails())])
    assert await counted(lab, box, on_success=[lab.call("cheer", Fails())]) == 2


async def test_sub_workflows_count_for_their_parents_and_only_those_that_completed(lab: Lab) -> None:
    child = lab.workflow(lab.call("bad", Fails(), on_error="continue"), lab.call("end", Fails(1)), id="child")
    middle = lab.workflow(sub("call", workflow="child", retry={"max_attempts": 2, "base": 0}), id="middle")
    flow = lab.workflow(for_each("each", in_=[1, 2], steps=[sub("call", workflow="middle")]))
    async with lab.open(child, middle, flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.run.tolerated) == ("completed", 2)


async def test_the_count_survives_a_restart_and_is_listed(lab: Lab, tmp_path: Path) -> None:
    flow = lab.workflow(
        for_each("each", in_=[1, 2, 3], steps=[lossy(lab)]),
        wait_for_input("ask", message="?"),
        lab.call("bad", Fails(), on_error="continue"),
    )
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert parked.run.tolerated == 2
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        await engine.resume(parked.run.id, _answer())
        done = await lab.finish(engine, parked.run)
        assert [run.tolerated for run in await engine.list()] == [3]
    assert (done.state, done.run.tolerated) == ("completed", 3)


async def test_a_retry_counts_the_tolerated_steps_that_it_keeps(lab: Lab) -> None:
    steps = lab.call("bad", Fails(), on_error="continue"), lab.call("end", Fails(1))
    async with lab.open(lab.workflow(*steps)) as engine:
        failed = await lab.finish(engine, await engine.start("main"))
        again = await engine.retry(failed.run.id)
        done = await lab.finish(engine, again)  # type: ignore[arg-type]  not a plan: it isn't a dry run
    assert (failed.state, done.state, done.run.tolerated) == ("failed", "completed", 1)


def _answer() -> Any:
    from agentflow import Answer  # noqa: PLC0415  of the engine's public names

    return Answer("yes")
