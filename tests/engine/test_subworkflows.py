"""Sub-workflows: child runs with tasks of their own, pinned definitions, and what goes down and comes up."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import StepError, StoreError
from agentflow.principal import Principal
from agentflow.steps import agent_run, for_each, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.store.contract import RunQuery
from tests.engine.hands import Fails, Gate, by_hand, times
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


async def child_of(engine: Engine, run: Run, step: str = "call") -> Run:
    row = await engine.store.get_step(run.id, step)
    assert row is not None
    assert row.task is not None
    return await engine.get(row.task)


@pytest.mark.case("W-E-13", "D-KIND-9")
async def test_a_child_run_gets_its_input_and_gives_its_output(lab: Lab) -> None:
    child = lab.workflow(
        set_("hidden", value="own"), set_("out", value="hi {input.name}"), id="child", output={"text": "{steps.out}"}
    )
    flow = lab.workflow(
        set_("hidden", value="parent's"),
        sub("call", workflow="child", input={"name": "{input.who}"}),
        set_("after", value=["{steps.call.text}", "{steps.hidden}"]),
    )
    async with lab.open(child, flow) as engine:
        started = await engine.start("main", {"who": "Ana"}, context_id="talk", principal=Principal("olga", "acme"))
        done = await lab.finish(engine, started)
        inner = await child_of(engine, done.run)
        listed = [run.id for run in await engine.list()]
        below = [run.id for run in await engine.list(RunQuery(parent=done.run.id))]
        assert await engine.find("@last") == done.run.id
    assert done.output == ["hi Ana", "parent's"]
    assert inner.id != done.run.id
    assert (inner.parent_id, inner.root_id, inner.context_id, inner.owner) == (done.run.id, done.run.id, "talk", "olga")
    assert (inner.tenant, inner.agent) == ("acme", done.run.agent)
    assert (inner.input, inner.output, inner.state) == ({"name": "Ana"}, {"text": "hi Ana"}, "completed")
    assert (listed, below) == ([done.run.id], [inner.id])
    assert done.results["call"] == {"text": "hi Ana"}


@pytest.mark.case("W-E-13", "D-KIND-7")
async def test_a_failing_child_fails_the_step_and_the_parent_decides(lab: Lab) -> None:
    child = lab.workflow(lab.call("x", Fails()), id="child")
    call = sub("call", workflow="child", on_error="continue")
    async with lab.open(child, lab.workflow(call, set_("after", value="{run.steps.call.error.message}"))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        inner = await child_of(engine, done.run)
    assert (done.state, inner.state) == ("completed", "failed")
    assert "child" in done.output
    assert "broken" in done.output
    assert done.errors["call"].data["run_id"] == inner.id


@pytest.mark.case("W-E-13")
async def test_a_cancelled_child_fails_the_parents_step(lab: Lab) -> None:
    gate = Gate()
    async with lab.open(
        lab.workflow(lab.call("x", gate), id="child"), lab.workflow(sub("call", workflow="child"))
    ) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel((await child_of(engine, run)).id)
        done = await lab.finish(engine, run)
    assert (done.state, done.errors["call"].code) == ("failed", "AF-CHILD-CANCELED")


async def test_input_that_does_not_fit_the_child_fails_the_step_and_makes_no_run(lab: Lab) -> None:
    child = lab.workflow(
        set_("x", value=1), id="child", input_schema={"type": "object", "properties": {"n": {"type": "integer"}}}
    )
    async with lab.open(child, lab.workflow(sub("call", workflow="child", input={"n": "{input.n}"}))) as engine:
        done = await lab.finish(engine, await engine.start("main", {"n": "seven"}))
        assert await engine.list(RunQuery(parent=done.run.id)) == []
    assert (done.state, done.errors["call"].code) == ("failed", "AF-INPUT-INVALID")


async def test_a_retry_of_the_step_starts_a_new_child(lab: Lab) -> None:
    child = lab.workflow(lab.call("x", Fails(1, "ok")), id="child")
    async with lab.open(child, lab.workflow(sub("call", workflow="child", retry=2))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        runs = await engine.list(RunQuery(parent=done.run.id))
    assert (done.state, done.output) == ("completed", "ok")
    assert sorted(run.state for run in runs) == ["completed", "failed"]


async def test_the_parents_waits_include_those_below_and_the_states_follow(lab: Lab) -> None:
    leaf = lab.workflow(wait_for_input("ask", message="?"), id="leaf")
    middle = lab.workflow(sub("call", workflow="leaf"), id="middle")
    async with lab.open(leaf, middle, lab.workflow(sub("call", workflow="middle"))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert parked.state == "input-required"
        (wait,) = parked.waits
        assert (wait.workflow, wait.step, wait.root_id) == ("leaf", "ask", parked.run.id)
        assert (await child_of(engine, parked.run)).state == "input-required"
        await engine.resume(parked.run.id, Answer("yes"))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", "yes")


async def test_definitions_of_children_are_pinned_when_the_parent_starts(lab: Lab) -> None:
    """Editing the config never changes a run in flight, its children included."""
    old = lab.workflow(set_("x", value="old"), id="child")
    gate = Gate()
    async with lab.open(old, lab.workflow(lab.call("first", gate), sub("call", workflow="child"))) as engine:
        run = await engine.start("main")
        await gate.inside()
        engine.register(Workflow(id="child", steps=(set_("x", value="new"),)))
        gate.open()
        assert (await lab.finish(engine, run)).output == "old"
        assert (await lab.finish(engine, await engine.start("main"))).output == "new"


async def test_many_children_at_once_keep_their_results_apart(lab: Lab) -> None:
    child = lab.workflow(lab.call("x", times(10), input={"n": "{input.n}"}), id="child")
    call = sub("call", workflow="child", input={"n": "{item}"})
    async with lab.open(child, lab.workflow(for_each("each", in_=[1, 2, 3, 4], steps=[call]))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.output == [{"call": 10}, {"call": 20}, {"call": 30}, {"call": 40}]


async def test_a_child_by_a_computed_name(lab: Lab) -> None:
    async with lab.open(
        lab.workflow(set_("x", value="a"), id="a"),
        lab.workflow(set_("x", value="b"), id="b"),
        lab.workflow(sub("call", workflow="{input.which}")),
    ) as engine:
        assert (await lab.finish(engine, await engine.start("main", {"which": "b"}))).output == "b"
        done = await lab.finish(engine, await engine.start("main", {"which": "zebra"}))
    assert (done.state, done.errors["call"].code) == ("failed", "AF-WORKFLOW-UNKNOWN")


async def test_children_that_call_themselves_for_ever_end_at_a_depth(lab: Lab) -> None:
    flow = lab.workflow(sub("call", workflow="{input.name}", input={"name": "{input.name}"}))
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main", {"name": "main"}))
    assert done.state == "failed"
    assert done.run.failure is not None
    assert done.run.failure.message == 'the run of "main" failed: "main" starts itself more than 100 levels deep'
    runs = done.run.failure.data["runs"]
    assert [each.get("left_out") for each in runs] == [None] * 4 + [92] + [None] * 4
    assert all(each["step"] == "call" for each in runs if "step" in each)


async def test_a_child_that_takes_too_long_is_cancelled_and_the_step_times_out(lab: Lab) -> None:
    still = by_hand(lab)
    gate = Gate()
    child = still.workflow(still.call("x", gate), id="child")
    async with still.open(child, still.workflow(sub("call", workflow="child", timeout=10))) as engine:
        run = await engine.start("main")
        await gate.inside()
        still.clock.advance(10)
        done = await still.finish(engine, run)
        assert (await child_of(engine, run)).state == "canceled"
    assert (done.state, done.errors["call"].code, gate.interrupted) == ("failed", "AF-TIMEOUT", 1)


async def test_when_a_sibling_fails_a_child_that_only_waits_is_cancelled_and_a_working_one_ends(lab: Lab) -> None:
    gate, broken = Gate("done"), Gate()
    waits = lab.workflow(wait_for_input("ask", message="?"), id="waits")
    works = lab.workflow(lab.call("x", gate), id="works")

    async def fail() -> None:
        await broken()
        raise RuntimeError("broken")

    steps = sub("w", workflow="waits"), sub("v", workflow="works"), lab.call("bad", fail)
    async with lab.open(waits, works, lab.workflow(*steps, execution="parallel")) as engine:
        run = await engine.start("main")
        await gate.inside()
        waiting = await child_of(engine, run, "w")
        await until(engine, waiting.id, "step_waiting")
        broken.open()
        await until(engine, waiting.id, "run_canceled")
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, done.states["w"], done.states["v"], gate.interrupted) == ("failed", "canceled", "completed", 0)


@pytest.mark.case("D-KIND-7")
async def test_a_failing_agent_fails_its_step_and_the_runs_policy_decides(lab: Lab) -> None:
    seen: list[Any] = []

    def agent(turn: Any) -> Any:
        seen.append((turn.model, turn.tools, turn.max_iterations))
        raise StepError("the agent gave up", code="AF-AGENT-FAILED", retryable=False)

    ask = agent_run(
        "ask", agent="helper", prompt="do it", model="m1", tools=["search"], max_iterations=3, on_error="continue"
    )
    async with lab.open(lab.workflow(ask, set_("after", value=1)), agents={"helper": agent}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.output, done.reasons["ask"]) == ("completed", 1, "tolerated")
    assert "gave up" in done.errors["ask"].message
    assert seen == [("m1", ("search",), 3)]


async def test_an_input_that_the_child_does_not_declare_fails_the_step_and_makes_no_run(lab: Lab) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    child = lab.workflow(set_("x", value=1), id="child", input_schema=schema)
    async with lab.open(child, lab.workflow(sub("call", workflow="child", input="{input}"))) as engine:
        done = await lab.finish(engine, await engine.start("main", {"nmae": "x"}))
        assert await engine.list(RunQuery(parent=done.run.id)) == []
    assert (done.state, done.errors["call"].code) == ("failed", "AF-INPUT-UNKNOWN")
    assert done.errors["call"].hint == 'did you mean "name"?'


@pytest.mark.parametrize("refuses", [False, True])
async def test_far_more_children_than_there_are_keys_at_hand_start_at_once(lab: Lab, refuses: bool) -> None:
    """The planner waits for nothing: what comes short of keys waits for the store, which may be far, or refuse once."""
    child = lab.workflow(set_("out", value="{input.n}"), id="child", output="{steps.out}")
    each = for_each("each", in_=list(range(100)), steps=[sub("call", workflow="child", input={"n": "{item}"})])
    waiting = wait_for_input("ask", message="?")
    async with lab.open(child, lab.workflow(waiting, each)) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_waiting")
        new_keys, asked, left = engine.store.new_keys, 0, [StoreError("busy")] if refuses else []

        async def far(count: int = 1) -> list[int]:
            nonlocal asked
            asked += count
            await anyio.lowlevel.checkpoint()
            if asked > 50 and left:
                raise left.pop()
            return await new_keys(count)

        engine.store.new_keys = far
        await engine.resume((await engine.waits(run.id))[0].id, Answer(1))
        done = await lab.finish(engine, run)
        children = await engine.list(RunQuery(parent=run.id, limit=200))
    assert done.output == [{"call": n} for n in range(100)]
    assert len({inner.id for inner in children}) == len(children) == 100
    assert left == []
