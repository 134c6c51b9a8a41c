"""Shared keys and attempts: what a failed attempt of a container wrote counts no more once the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import RetryPolicy, Step
from agentflow.engine import Answer, Run
from agentflow.steps import for_each, parallel, saga, sequence, set_, wait_for_input, while_, workflow
from tests.engine.hands import Fails
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

KEYS: dict[str, Any] = {"found": {"default": [], "reducer": "append"}, "sum": {"default": 0, "reducer": "add"}}
RETRY = RetryPolicy(max_attempts=3, base=0.01)
LOOK = set_("look", value={"found": "{context.found}", "sum": "{context.sum}"})


def write(name: str, value: Any = 5, **fields: Any) -> Step:
    """Return a step that writes a value to both keys."""
    return set_(name, value=value, update={"found": f"{{steps.{name}}}", "sum": f"{{steps.{name}}}"}, **fields)


def wrote(*values: int) -> dict[str, Any]:
    """Return what the keys are when these values were written."""
    return {"found": list(values), "sum": sum(values)}


async def test_a_container_keeps_what_its_good_attempt_wrote(lab: Lab) -> None:
    seen: list[Any] = []

    def look(found: Any) -> None:
        seen.append(found)

    inside = [write("a"), lab.call("see", look, input={"found": "{context.found}"}), lab.call("flaky", Fails(2))]
    done = await lab.run(write("before", 1), sequence("box", steps=inside, retry=RETRY), LOOK, context=KEYS)
    assert (done.output, seen) == (wrote(1, 5), [[1, 5]] * 3)


def nested(lab: Lab) -> Step:
    inner = sequence("inner", steps=[write("a"), lab.call("one", Fails(1))], retry=RETRY)
    return sequence("box", steps=[inner, write("b", 7), lab.call("two", Fails(1))], retry=RETRY)


def item(lab: Lab) -> Step:
    fails = Fails(3)
    inner = sequence(
        "inner", steps=[write("a", "{item}"), lab.call("one", fails)], retry=RetryPolicy(max_attempts=4, base=0.01)
    )
    return for_each("box", in_=[5, 7], steps=[inner], max_parallel=1)


def iterations(lab: Lab) -> Step:
    loop = while_("loop", condition="{index} < 4", max_iterations=9, steps=[write("a", "{index}")])
    return sequence("box", steps=[loop, lab.call("one", Fails(1)), write("b", 6)], retry=RETRY)


def hooks(lab: Lab) -> Step:
    return sequence("box", steps=[write("a", 12), lab.call("one", Fails(1))], retry=RETRY, on_failure=[write("h", 3)])


@pytest.mark.parametrize(
    ("make", "values"), [(nested, (5, 7)), (item, (5, 7)), (iterations, (0, 1, 2, 3, 6)), (hooks, (12,))]
)
async def test_attempts_inside_attempts_and_loops_count_once(
    lab: Lab, make: Callable[[Lab], Step], values: tuple[int, ...]
) -> None:
    done = await lab.run(make(lab), LOOK, context=KEYS)
    assert done.state == "completed", done.errors
    assert done.output == wrote(*values)


async def test_what_others_write_meanwhile_stays_where_it_was(lab: Lab) -> None:
    box = sequence("box", steps=[write("a"), lab.call("one", Fails(1))], retry=RETRY)
    done = await lab.run(parallel("both", steps=[box, write("beside", 2)]), LOOK, context=KEYS)
    assert done.output["sum"] == 7
    assert sorted(done.output["found"]) == [2, 5]


@pytest.mark.parametrize("retry", [None, RETRY])
async def test_a_failure_that_is_tolerated_leaves_what_its_last_attempt_wrote(lab: Lab, retry: Any) -> None:
    fields = {} if retry is None else {"retry": retry}
    box = sequence("box", steps=[write("a"), lab.call("one", Fails())], on_error="continue", **fields)
    done = await lab.run(write("before", 1), box, LOOK, context=KEYS)
    assert done.output == wrote(1, 5)


async def test_a_step_that_is_tolerated_takes_nothing_of_others_away(lab: Lab) -> None:
    box = sequence("box", steps=[write("a"), lab.call("one", Fails(), on_error="continue")])
    done = await lab.run(box, LOOK, context=KEYS)
    assert done.output == wrote(5)


@pytest.mark.parametrize("action", ["skip", "retry"])
async def test_an_operators_decision_counts_nothing_twice(lab: Lab, action: str) -> None:
    box = sequence("box", steps=[write("a"), lab.call("one", Fails(1))], on_error="suspend")
    async with lab.open(lab.workflow(box, LOOK, context=KEYS)) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.resume(parked.waits[0].id, Answer({"action": action}))
        assert (await lab.finish(engine, parked.run)).output == wrote(5)


async def test_a_saga_that_is_tried_again_counts_neither_what_was_done_nor_how_it_was_undone(lab: Lab) -> None:
    undo = write("undo", -1)
    trip = saga("trip", steps=[write("a", compensate=[undo]), lab.call("one", Fails(1))], retry=RETRY)
    done = await lab.run(write("before", 1), trip, LOOK, context=KEYS)
    assert done.output == wrote(1, 5)


async def test_a_failure_that_ends_the_run_leaves_what_was_found_to_its_hooks(lab: Lab) -> None:
    box = sequence("box", steps=[write("a"), lab.call("one", Fails())])
    done = await lab.run(box, context=KEYS, on_failure=[set_("told", value="{context.found}")])
    assert done.results["#on_failure/told"] == [5]


async def test_a_sub_workflow_that_is_tried_again_begins_with_its_own_keys(lab: Lab) -> None:
    kid = lab.workflow(
        write("a"), lab.call("one", Fails(1)), set_("o", value="{context.found}"), id="kid", context=KEYS
    )
    flow = lab.workflow(workflow("w", workflow="kid", retry=RETRY, update={"found": "{steps.w}"}), LOOK, context=KEYS)
    async with lab.open(flow, kid) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.output == {"found": [[5]], "sum": 0}


async def test_another_process_and_a_retried_run_count_the_same(lab: Lab, tmp_path: Path) -> None:
    box = sequence("box", steps=[write("a"), lab.call("flaky", Fails(1))], retry=RETRY)
    flow = lab.workflow(box, wait_for_input("ask", message="?"), lab.call("late", Fails(1)), LOOK, context=KEYS)
    path = tmp_path / "runs.db"
    async with lab.open(flow, store=path) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
    async with lab.open(flow, store=path) as engine:
        await engine.resume(parked.waits[0].id, Answer(1))
        assert (await lab.finish(engine, parked.run)).state == "failed"
        again = await engine.retry(parked.run.id)
        assert isinstance(again, Run)
        assert (await lab.finish(engine, again)).output == wrote(5)
