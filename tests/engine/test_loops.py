"""Loops, branches, polls and schedules: what runs, in which order, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step
from agentflow.definition.parse import parse_workflow
from agentflow.engine import Answer
from agentflow.steps import (
    condition,
    for_each,
    parallel,
    registry,
    sequence,
    set_,
    switch,
    until,
    wait_for_input,
    while_,
)
from tests.engine.hands import Fails, times
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


class Overlap:
    """A step's function that holds on until a number of calls are inside at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.inside = 0
        self.most = 0
        self._all = anyio.Event()

    async def __call__(self, item: Any = None) -> Any:
        """Meet the others."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside == self.count:
            self._all.set()
        await self._all.wait()
        self.inside -= 1
        return item


@pytest.mark.case("D-KIND-6", "W-E-7")
@pytest.mark.parametrize("yes", [True, False])
async def test_only_the_chosen_branch_runs_and_its_result_is_the_steps(lab: Lab, yes: bool) -> None:
    taken, left = Fails(0, "taken"), Fails(0, "left")
    branches = (lab.call("one", taken), lab.call("two", left))
    if not yes:
        branches = branches[::-1]
    choice = condition("which", expression="input.yes == true", if_true=branches[0], if_false=[branches[1]])
    async with lab.open(lab.workflow(choice, set_("after", value="{steps.which}"))) as engine:
        done = await lab.finish(engine, await engine.start("main", {"yes": yes}))
    assert (taken.calls, left.calls) == (1, 0)
    assert done.output == ("taken" if yes else {"one": "taken"})
    inside = [address for address in done.states if address.startswith("which/")]
    assert inside == ["which/if_true" if yes else "which/if_false/one"]


async def test_steps_without_ids_of_their_own_are_addressed_by_their_branch(lab: Lab) -> None:
    data = {
        "steps": [
            {
                "id": "cond",
                "type": "condition",
                "expression": "true",
                "if_true": {"type": "wait_for_input", "message": "?"},
            },
            {
                "id": "sw",
                "type": "switch",
                "cases": [
                    {"when": "false", "steps": {"type": "set", "value": 1}},
                    {"when": "true", "steps": {"type": "set", "value": 2}},
                ],
            },
            {"id": "p", "type": "poll", "until": "steps.body == 3", "body": {"type": "set", "value": 3}},
        ]
    }
    flow = parse_workflow(data, registry.find, id="main").workflow
    assert flow is not None
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert parked.waits[0].step == "cond/if_true"
        await engine.resume(parked.run.id, Answer("yes"))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", 3)
    assert {"cond/if_true", "sw/case[1]", "p/body"} <= done.states.keys()


@pytest.mark.case("W-E-7")
async def test_without_a_branch_for_it_a_condition_completes_with_null_and_the_next_step_runs(lab: Lab) -> None:
    never = Fails(0)
    done = await lab.run(condition("which", expression="false", if_true=[lab.call("x", never)]), set_("b", value=2))
    assert (done.state, done.output, never.calls) == ("completed", 2, 0)


@pytest.mark.case("W-E-2", "F-RUN-4")
@pytest.mark.parametrize(("kind", "result"), [("a", "first a"), ("b", "it is b"), ("z", "neither")])
async def test_a_switch_takes_the_first_case_that_holds_else_its_default(lab: Lab, kind: str, result: str) -> None:
    route = switch(
        "route",
        cases=[
            ('input.kind == "a"', set_("one", value="first a")),
            ('input.kind == "b"', set_("two", value="it is b")),
            ('input.kind == "a"', set_("three", value="second a")),
        ],
        default=set_("other", value="neither"),
    )
    async with lab.open(lab.workflow(route)) as engine:
        done = await lab.finish(engine, await engine.start("main", {"kind": kind}))
    assert (done.state, done.output) == ("completed", result)


async def test_a_branch_stays_chosen_when_its_reason_changes(lab: Lab) -> None:
    """The choice is stored: in replay mode it is looked up again, and must not be made anew."""
    steps = (
        condition(
            "which",
            expression="context.n == 0",
            if_true=[lab.call("x", lambda: 1, update={"n": 5}), set_("y", value=2)],
        ),
    )
    done = await lab.run(*steps, context={"n": {"default": 0}})
    assert done.output == {"x": 1, "y": 2}


@pytest.mark.case("W-E-7")
async def test_while_repeats_as_long_as_its_condition_holds(lab: Lab) -> None:
    count = Fails(0)

    def more(last: Any) -> int:
        count()
        return (last or 0) + 1

    body = [lab.call("n", more, input={"last": "{steps.n?}"})]
    done = await lab.run(while_("loop", condition="steps.n == null || steps.n < 3", max_iterations=10, steps=body))
    assert (done.state, done.output, count.calls) == ("completed", {"n": 3}, 3)


@pytest.mark.parametrize(
    ("kind", "test", "last"),
    [
        (while_, "{index} < 3", 2),
        (while_, "index < 3", 2),
        (while_, "index < 2 || steps.n == null", 1),
        (until, "index >= 2", 2),
        (until, "{index} == 2 && true", 2),
    ],
)
async def test_a_loops_condition_reads_the_number_of_its_iteration(
    lab: Lab, kind: Callable[..., Step], test: str, last: int
) -> None:
    loop = kind("loop", condition=test, max_iterations=5, steps=[set_("n", value="{index}")])
    async with lab.open(lab.workflow(loop)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.output == {"n": last}


async def test_a_while_inside_a_loop_reads_its_own_number_and_the_outer_item(lab: Lab) -> None:
    inner = while_("again", condition="index < item", max_iterations=9, steps=[set_("n", value="{index} of {item}")])
    loop = for_each("each", in_=[0, 2], steps=[inner])
    async with lab.open(lab.workflow(loop)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.output == [{"again": None}, {"again": {"n": "1 of 2"}}]


async def test_a_while_that_never_begins_gives_null_and_until_runs_at_least_once(lab: Lab) -> None:
    never, once = Fails(0, 1), Fails(0, 1)
    loops = (
        while_("w", condition="false", max_iterations=3, steps=[lab.call("x", never)]),
        until("u", condition="true", max_iterations=3, steps=[lab.call("x", once)]),
    )
    done = await lab.run(*loops, output={"w": "{steps.w}", "u": "{steps.u}"})
    assert (done.output, never.calls, once.calls) == ({"w": None, "u": {"x": 1}}, 0, 1)


async def test_reaching_max_iterations_fails_the_loop(lab: Lab) -> None:
    body = Fails(0)
    done = await lab.run(until("loop", condition="false", max_iterations=4, steps=[lab.call("x", body)], retry=3))
    assert (done.state, done.errors["loop"].code, body.calls) == ("failed", "AF-LOOP-LIMIT", 4)


@pytest.mark.case("W-E-7", "F-RUN-1")
async def test_items_one_at_a_time_run_in_order(lab: Lab) -> None:
    seen: list[Any] = []

    def work(item: int, index: int) -> int:
        seen.append((index, item))
        return item * 2

    body = [lab.call("x", work, input={"item": "{item}", "index": "{index}"})]
    done = await lab.run(for_each("each", in_=[1, 2, 3], max_parallel=1, steps=body))
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert done.output == [{"x": 2}, {"x": 4}, {"x": 6}]


@pytest.mark.case("W-E-7", "W-E-4")
async def test_items_overlap_up_to_the_limit_and_results_keep_the_inputs_order(lab: Lab) -> None:
    meet = Overlap(3)
    body = [lab.call("x", meet, input={"item": "{item}"})]
    loop = for_each("each", in_=[1, 2, 3], steps=body)
    done = await lab.run(loop, set_("after", value="{steps.each}"))
    assert (meet.most, done.output) == (3, [{"x": 1}, {"x": 2}, {"x": 3}])
    assert done.steps_of("step_completed")[-1] == "after"
    two = Overlap(2)
    six = for_each("each", in_="{input.items}", max_parallel=2, steps=[lab.call("x", two, input={"item": "{item}"})])
    async with lab.open(lab.workflow(six)) as engine:
        done = await lab.finish(engine, await engine.start("main", {"items": [1, 2, 3, 4, 5, 6]}))
    assert (done.state, two.most) == ("completed", 2)


@pytest.mark.case("W-E-4")
async def test_for_each_as_a_field_wraps_the_step_and_gives_the_list_of_its_results(lab: Lab) -> None:
    double = lab.call("double", times(2), input={"n": "{item}"}, for_each="{input.items}")
    async with lab.open(lab.workflow(double, set_("sum", value="{steps.double}"))) as engine:
        done = await lab.finish(engine, await engine.start("main", {"items": [1, 2, 3]}))
    assert done.output == [2, 4, 6]
    assert {"double[0]", "double[1]", "double[2]"} <= done.states.keys()


async def test_no_items_give_an_empty_list_and_no_list_is_an_error(lab: Lab) -> None:
    done = await lab.run(for_each("each", in_=[], steps=[set_("x", value=1)]))
    assert (done.state, done.output) == ("completed", [])
    async with lab.open(lab.workflow(for_each("each", in_="{input.x}", steps=[set_("x", value=1)]))) as engine:
        done = await lab.finish(engine, await engine.start("main", {"x": 3}))
    assert (done.state, done.states["each"]) == ("failed", "failed")


async def test_an_item_may_wait_and_the_others_go_on(lab: Lab) -> None:
    body = [wait_for_input("ask", message="{item}?", if_='item == "b"'), set_("x", value="{item}")]
    async with lab.open(lab.workflow(for_each("each", in_=["a", "b", "c"], steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert [wait.step for wait in parked.waits] == ["each[1]/ask"]
        assert (parked.states["each[2]/x"], parked.states["each[0]/x"]) == ("completed", "completed")
        await engine.resume(parked.run.id, Answer("yes"))
        done = await lab.finish(engine, parked.run)
    assert done.output == [{"ask": None, "x": "a"}, {"ask": "yes", "x": "b"}, {"ask": None, "x": "c"}]


async def test_loops_in_loops_see_their_own_and_the_outer_item(lab: Lab) -> None:
    inner = for_each("in", in_="{row}", item="cell", steps=[set_("x", value="{row.0}-{cell}")])
    done = await lab.run(for_each("out", in_=[[1, 2], [3]], item="row", steps=[inner]))
    assert done.output == [
        {"in": [{"x": "1-1"}, {"x": "1-2"}]},
        {"in": [{"x": "3-3"}]},
    ]
    assert done.states["out[0]/in[1]/x"] == "completed"


@pytest.mark.case("F-RUN-1")
async def test_a_nested_group_gives_the_map_of_its_results(lab: Lab) -> None:
    times4 = sequence("box", steps=[set_("a", value=5), lab.call("b", times(4), input={"n": "{steps.a}"})])
    done = await lab.run(times4, output="{steps.box.b}")
    assert done.output == 20
    terminal = await lab.run(lab.call("triple", times(3), input={"n": 7}))
    assert terminal.output == 21


@pytest.mark.case("F-RUN-1")
async def test_a_batch_is_worked_on_and_routed_then(lab: Lab) -> None:
    loop = lab.call("double", times(2), input={"n": "{item}"}, for_each={"in": [1, 2, 3, 4, 5], "max_parallel": 2})
    route = switch("route", cases=[("steps.double[4] == 10", set_("big", value="{steps.double}"))])
    done = await lab.run(loop, route)
    assert done.output == [2, 4, 6, 8, 10]


@pytest.mark.case("F-RUN-1", "F-RUN-6")
async def test_three_branches_are_collected_in_order_and_the_run_ends_after_all(lab: Lab) -> None:
    meet = Overlap(3)
    legs = [lab.call(f"leg{n}", meet, input={"item": n}) for n in (9, 10, 11)]
    merge = "{steps.all}"
    done = await lab.run(parallel("all", steps=legs), set_("merged", value=merge))
    assert done.output == {"leg9": 9, "leg10": 10, "leg11": 11}
    assert list(done.output.values()) == [9, 10, 11]


@pytest.mark.case("F-RUN-2")
async def test_a_fallback_runs_when_the_first_way_failed(lab: Lab) -> None:
    steps = (
        lab.call("try", Fails(), on_error="continue"),
        set_("recover", value="recovered", if_="run.steps.try.error != null"),
    )
    done = await lab.run(*steps)
    assert (done.state, done.output) == ("completed", "recovered")


@pytest.mark.case("F-RUN-5")
async def test_when_every_branch_holds_the_run_is_parked(lab: Lab) -> None:
    legs = [wait_for_input(f"w{n}", message="?") for n in range(3)]
    done = await lab.run(parallel("all", steps=legs), set_("after", value=1))
    assert (done.state, len(done.waits)) == ("input-required", 3)


@pytest.mark.case("W-E-1")
async def test_steps_follow_each_other_in_order_and_the_rows_tell_it(lab: Lab) -> None:
    done = await lab.run(*(lab.call(name, lambda: 1) for name in "abc"))
    assert done.steps_of("step_completed") == ["a", "b", "c"]
    assert done.states == {"a": "completed", "b": "completed", "c": "completed"}
