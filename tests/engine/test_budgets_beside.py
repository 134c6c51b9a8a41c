"""Budgets where something else goes on as well: stops, hooks, pauses, waits, types of one's own, and wrong budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, ConfigDict

from agentflow.config import config_from
from agentflow.definition.models import Concurrency, Step, Workflow
from agentflow.engine import Answer
from agentflow.errors import DefinitionError
from agentflow.steps import agent_run, parallel, saga, sequence, set_, wait_for_input, workflow
from agentflow.steps.contract import AgentAsks, Context, Outcome, Result, Wait
from agentflow.steps.registry import step_type
from agentflow.store.rows import RunQuery
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab, until
from tests.engine.test_budgets import Model, loop, question, rest

pytestmark = pytest.mark.anyio


async def test_a_stop_inside_of_a_saga_undoes_it_and_no_budget_holds_back_what_cleans_up(lab: Lab) -> None:
    model, told = Model(), list[str]()

    async def undo(ctx: Context) -> None:
        ctx.usage(cost="5")
        told.append(ctx.address)

    flow = lab.workflow(
        saga(
            "trip",
            steps=[
                agent_run("book", agent="m", prompt="x", compensate=lab.call("give_back", undo)),
                sequence("inner", steps=[loop(9)]),
            ],
        ),
        budget={"cost": "0.2"},
        on_failure=[agent_run("sorry", agent="m", prompt="sorry")],
        finally_=[lab.call("clean", undo)],
    )
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls) == ("input-required", 4)
        await engine.resume((await question(engine, run)).id, Answer({"action": "stop"}))
        done = await lab.finish(engine, run)
    done.failed("AF-BUDGET-STOPPED", step="trip/inner/all[3]/ask")
    assert (model.calls, told) == (5, ["trip/book#compensate", "#finally/clean"])
    assert done.run.usage.cost == Decimal("10.25")


async def test_a_stop_reaches_the_run_that_has_the_budget_from_a_run_below(lab: Lab) -> None:
    child = lab.workflow(sequence("in", steps=[loop(4)]), id="child")
    flow = lab.workflow(
        workflow("x", workflow="child", on_error="continue"), set_("n", value=1), budget={"tokens": 330}
    )
    model = Model()
    async with lab.open(flow, child, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert model.calls == 3
        await engine.resume((await question(engine, run)).id, Answer({"action": "stop"}))
        done = await lab.finish(engine, run)
        (below,) = await engine.list(RunQuery(parent=run.id))
    done.failed("AF-BUDGET-STOPPED")
    assert below.state == "canceled"


async def test_a_wait_that_is_closed_by_a_failure_beside_it_holds_nobody_up(lab: Lab) -> None:
    gate = Gate()

    async def fails() -> None:
        await gate()
        raise ValueError("no")

    flow = lab.workflow(
        parallel("both", steps=[loop(4), lab.call("fails", fails)]), set_("after", value=1), budget={"cost": "0.1"}
    )
    async with lab.open(flow, agents={"m": Model()}) as engine:
        run = await engine.start("main", None)
        with anyio.fail_after(LIMIT):
            async for event in engine.subscribe(run.id):
                if event.type == "step_waiting":
                    break
        gate.open()
        (await lab.finish(engine, run)).failed("AF-PYTHON-RAISED")


async def test_an_agent_that_asks_in_its_middle_goes_on_though_the_budget_is_spent(lab: Lab) -> None:
    async def asks(prompt: Any, ctx: Context, answer: Any = None) -> Any:
        ctx.usage(cost="0.1")
        return AgentAsks(Wait("input", "Which?"), None) if answer is None else answer

    flow = lab.workflow(
        agent_run("ask", agent="m", prompt="x"), agent_run("next", agent="m", prompt="x"), budget={"cost": "0.1"}
    )
    async with lab.open(flow, agents={"m": asks}) as engine:
        run = await rest(engine, await engine.start("main", None))
        (wait,) = await engine.waits(run.id)
        assert (wait.step, wait.kind) == ("ask", "input")
        await engine.resume(wait.id, Answer("that"))
        run = await rest(engine, run)
        assert ((await question(engine, run)).step, run.usage.cost) == ("next", Decimal("0.2"))


@pytest.mark.parametrize("action", ["raise", "stop"])
async def test_a_step_in_its_middle_that_waits_for_the_slot_of_a_container_makes_no_room_and_a_person_is_asked(
    lab: Lab, action: str
) -> None:
    async def asks(prompt: Any, ctx: Context, answer: Any = None) -> Any:
        ctx.usage(cost="0.01")
        return AgentAsks(Wait("input", "Which?"), None) if answer is None else answer

    key = Concurrency(key="k", limit=1)
    flow = lab.workflow(
        agent_run("middle", agent="asks", prompt="x", execution="parallel", concurrency=key, estimate={"cost": 0.2}),
        sequence(
            "box",
            execution="parallel",
            delay="1s",
            concurrency=key,
            steps=[
                wait_for_input("first", message="?"),
                agent_run("inside", agent="m", prompt="x", estimate={"cost": 0.1}),
            ],
        ),
        budget={"cost": "0.25"},
    )
    async with lab.open(flow, agents={"m": Model(), "asks": asks}) as engine:
        run = await rest(engine, await engine.start("main", None))
        lab.clock.advance(2)
        await until(engine, run.id, "step_waiting", "box/first")
        waits = {wait.step: wait for wait in await engine.waits(run.id)}
        await engine.resume(waits["middle"].id, Answer("that"))
        await engine.resume(waits["box/first"].id, Answer("go"))
        asked: Any = (await until(engine, run.id, "step_waiting", "box/inside")).data
        assert asked["message"].endswith(
            "is expected to use 0.1 USD; 0.19 USD are reserved for steps in their middle that wait for slots"
        )
        await engine.resume((await question(engine, run)).id, Answer({"action": action}))
        done = await lab.finish(engine, run)
    assert done.run.state == ("completed" if action == "raise" else "failed")


async def test_a_paused_run_asks_nothing_and_goes_on_where_it_was(lab: Lab) -> None:
    gate, model = Gate(), Model()
    flow = lab.workflow(lab.call("first", gate), loop(3), budget={"cost": "0.05"})
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        await engine.pause(run.id)
        gate.open()
        await until(engine, run.id, "step_completed", "first")
        assert not await engine.waits(run.id)
        await engine.unpause(run.id)
        run = await rest(engine, run)
        assert (run.state, model.calls) == ("input-required", 1)


async def test_steps_of_ones_own_type_spend_where_they_say_so(lab: Lab) -> None:
    flow = lab.workflow(
        Step(id="a", type="spends_for_test"), Step(id="b", type="spends_for_test"), set_("c", value=1),
        budget={"cost": "0.5"},
    )  # fmt: skip
    async with lab.open(flow) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert ((await question(engine, run)).step, run.usage.cost) == ("b", Decimal("0.6"))


class NoFields(BaseModel):
    """A type without fields."""

    model_config = ConfigDict(extra="forbid")


@step_type("spends_for_test", config=NoFields, spends=True)
async def spends_for_test(config: NoFields, ctx: Context) -> Outcome:
    """Spend something."""
    ctx.usage(cost="0.6")
    return Result(None)


async def test_without_a_budget_or_usage_nothing_of_it_is_kept(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1), lab.call("b", dict))) as engine:
        run = await rest(engine, await engine.start("main", None))
        row = await engine.store.get_run(run.id)
        assert row is not None
        assert (row.usage, await engine.store.usage(row.run)) == (None, [])


def test_an_estimate_where_it_has_no_effect_is_told(lab: Lab) -> None:
    inside = agent_run("ask", agent="m", prompt="x", estimate={"cost": 1})
    flow = lab.workflow(parallel("both", steps=[inside], estimate={"cost": 1}))
    told = config_from([flow], agents={"m": {"python": "lab:m"}}, python_modules=("lab",)).warnings
    assert [(one.code, one.message) for one in told if "estimate" in one.message] == [
        ("AF-FIELD-VALUE", '"estimate" of step "both" has no effect: a step that holds others uses nothing itself')
    ]


@pytest.mark.parametrize("budget", [{}, {"cost": -1}, {"cost": "much"}, {"tokens": -1}, {"time": "soon"}, {"money": 1}])
def test_a_budget_that_is_none_is_refused(budget: Any) -> None:
    with pytest.raises(DefinitionError):
        config_from([Workflow(id="main", steps=[set_("a", value=1)], budget=budget)])


async def test_a_stop_ends_all_runs_between_the_step_that_asked_and_the_budget(lab: Lab) -> None:
    inner = lab.workflow(*(lab.call(name, lambda: 1) for name in "abc"), id="inner")
    middle = lab.workflow(workflow("in", workflow="inner"), id="middle")
    flow = lab.workflow(workflow("mid", workflow="middle"), budget={"steps": 2})
    async with lab.open(flow, middle, inner) as engine:
        run = await rest(engine, await engine.start("main", None))
        await engine.resume((await question(engine, run)).id, Answer({"action": "stop"}))
        done = await lab.finish(engine, run)
    done.failed("AF-BUDGET-STOPPED")
