"""Budgets: a run asks before the step that would go past one, and what it has used is what was told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step, Workflow
from agentflow.definition.samples import samples
from agentflow.engine import Answer, Decline, Engine, Run, WaitView
from agentflow.steps import agent_run, for_each, parallel, set_, wait_for_input, while_, workflow
from agentflow.steps.contract import Context
from agentflow.testing.faults import doom
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


class Model:
    """An agent whose turns cost something, and which counts them."""

    def __init__(self, cost: str | None = "0.05") -> None:
        self.cost = cost
        self.calls = 0
        self.at_once = 0
        self.most = 0

    async def __call__(self, prompt: Any, ctx: Context) -> str:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await anyio.lowlevel.checkpoint()
        if self.cost is not None:
            ctx.usage(model="m", input_tokens=100, output_tokens=10, cost=self.cost)
        self.at_once -= 1
        return f"{prompt}"


def loop(count: int = 20, *, max_parallel: int = 1, **common: Any) -> Step:
    """Return a loop of agent calls."""
    ask = agent_run("ask", agent="m", prompt="{item}", **common)
    return for_each("all", in_=list(range(count)), max_parallel=max_parallel, steps=[ask])


async def rest(engine: Engine, run: Run) -> Run:
    with anyio.fail_after(LIMIT):
        return await engine.wait(run.id)


async def question(engine: Engine, run: Run) -> WaitView:
    (found,) = await engine.waits(run.id)
    assert found.kind == "operator"
    return found


async def test_a_loop_stops_before_the_call_that_would_exceed_its_budget_and_goes_on_after_the_raise(lab: Lab) -> None:
    model = Model()
    flow = lab.workflow(loop(), budget={"cost": "0.42"})
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls, run.usage.cost) == ("input-required", 8, Decimal("0.4"))
        wait = await question(engine, run)
        assert wait.step == "all[8]/ask"
        assert wait.message == (
            'Workflow "main" has used 0.4 USD of its budget of 0.42 USD; step "all[8]/ask" is next, and is expected to'
            " use 0.05 USD"
        )
        assert wait.details["budget"] == {"of": "cost", "used": "0.4", "limit": "0.42", "expected": "0.05"}
        await engine.resume(wait.id, Answer({"action": "raise", "cost": 0.5}))
        run = await rest(engine, run)
        assert (run.state, model.calls, run.usage.cost) == ("input-required", 10, Decimal("0.5"))
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "cost": "1"}))
        run = await rest(engine, run)
    assert (run.state, model.calls, run.usage.cost) == ("completed", 20, Decimal(1))


async def test_without_a_number_a_budget_is_raised_by_as_much_again(lab: Lab) -> None:
    model = Model()
    async with lab.open(lab.workflow(loop(3), budget={"cost": "0.05"}), agents={"m": model}) as engine:
        run = await engine.start("main", None)
        for calls in (1, 2):
            run = await rest(engine, run)
            assert (run.state, model.calls) == ("input-required", calls)
            await engine.resume((await question(engine, run)).id, Answer({"action": "raise"}))
        assert (await rest(engine, run)).state == "completed"


async def test_the_example_of_an_answer_is_one_that_goes_on(lab: Lab) -> None:
    model = Model()
    async with lab.open(lab.workflow(loop(3), budget={"cost": "0.05", "steps": 9}), agents={"m": model}) as engine:
        run = await engine.start("main", None)
        for limit in ("0.15", "0.25"):
            run = await rest(engine, run)
            if run.state == "completed":
                break
            wait = await question(engine, run)
            assert next(samples(wait.schema)) == {"action": "raise", "cost": limit, "steps": 9}
            await engine.resume(wait.id, Answer(next(samples(wait.schema))))
        assert (await rest(engine, run)).state == "completed"


async def test_a_raise_that_is_not_enough_asks_again(lab: Lab) -> None:
    model = Model()
    async with lab.open(lab.workflow(loop(3), budget={"cost": "0.1"}), agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        first = await question(engine, run)
        await engine.resume(first.id, Answer({"action": "raise", "cost": "0.12"}))
        run = await rest(engine, run)
        assert (await question(engine, run)).id != first.id
    assert model.calls == 2


@pytest.mark.parametrize("answer", [Answer({"action": "stop"}), Decline("too much")])
async def test_stop_ends_the_run_as_failed_and_cleans_up(lab: Lab, answer: Any) -> None:
    cleaned: list[str] = []

    def clean() -> None:
        cleaned.append("up")

    flow = lab.workflow(
        loop(4), set_("after", value=1), budget={"cost": "0.1", "steps": 3}, finally_=[lab.call("clean", clean)]
    )
    async with lab.open(flow, agents={"m": Model()}) as engine:
        run = await rest(engine, await engine.start("main", None))
        await engine.resume((await question(engine, run)).id, answer)
        done = await lab.finish(engine, run)
    done.failed("AF-BUDGET-STOPPED", step="all[2]/ask")
    assert cleaned == ["up"]


async def test_steps_that_tolerate_failures_do_not_tolerate_a_stop(lab: Lab) -> None:
    flow = lab.workflow(loop(4, on_error="continue"), budget={"cost": "0.1"}, on_error_siblings="continue")
    model = Model()
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        await engine.resume((await question(engine, run)).id, Answer({"action": "stop"}))
        (await lab.finish(engine, run)).failed("AF-BUDGET-STOPPED")
    assert model.calls == 2


async def test_parallel_calls_do_not_run_past_the_limit_together(lab: Lab) -> None:
    model = Model()
    flow = lab.workflow(loop(20, max_parallel=64), budget={"cost": "0.31"})
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls, run.usage.cost) == ("input-required", 6, Decimal("0.3"))
        assert len(await engine.waits(run.id)) == 1
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "cost": 1}))
        assert (await rest(engine, run)).state == "completed"
    assert model.calls == 20
    assert lab.always_replay or lab.sends or model.most > 1


async def test_an_estimate_counts_before_the_first_call_and_a_larger_one_that_was_seen_more(lab: Lab) -> None:
    model = Model("0.2")
    flow = lab.workflow(loop(9, max_parallel=64, estimate={"cost": "0.1"}), budget={"cost": "0.55"})
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
    # five at once by the estimate; each has cost twice as much, and now everybody knows
    assert run.state == "input-required"
    assert model.calls in ((2, 5) if lab.crew is None else (2, 3, 4, 5))


async def test_a_first_call_is_not_begun_where_its_estimate_is_too_much(lab: Lab) -> None:
    model = Model()
    flow = lab.workflow(loop(2, estimate={"tokens": 200}), budget={"tokens": 100})
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls) == ("input-required", 0)
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "tokens": 1000}))
        assert (await rest(engine, run)).usage.tokens == 220


async def test_attempts_of_steps_count_retries_too(lab: Lab) -> None:
    gone: list[int] = []

    def fails() -> None:
        gone.append(1)
        raise ValueError("no")

    flow = lab.workflow(lab.call("a", fails, retry={"max_attempts": 9, "base": 0}), budget={"steps": 3})
    async with lab.open(flow) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, len(gone)) == ("input-required", 3)
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "steps": 5}))
        await rest(engine, run)
    assert len(gone) == 5


async def test_time_counts_while_a_run_does_not_only_wait(lab: Lab) -> None:
    flow = lab.workflow(wait_for_input("ok", message="?"), set_("a", value=1), budget={"time": "1h"})
    async with lab.open(flow) as engine:
        run = await rest(engine, await engine.start("main", None))
        lab.clock.advance(7200)
        (wait,) = await engine.waits(run.id)
        await engine.resume(wait.id, Answer({}))
        assert (await rest(engine, run)).state == "completed"


async def test_time_that_is_over_asks_before_the_next_step(lab: Lab) -> None:
    def works() -> None:
        lab.clock.advance(3601)

    flow = lab.workflow(lab.call("a", works), lab.call("b", works), budget={"time": "1h"})
    async with lab.open(flow) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (await question(engine, run)).step == "b"
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "time": 9000}))
        assert (await rest(engine, run)).state == "completed"


async def test_a_sub_workflow_uses_the_budget_of_the_run_above(lab: Lab) -> None:
    model = Model()
    child = lab.workflow(loop(4), id="child")
    flow = lab.workflow(
        parallel("both", steps=[workflow("x", workflow="child"), workflow("y", workflow="child")]),
        budget={"cost": "0.2"},
    )
    async with lab.open(flow, child, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls) == ("input-required", 4)
        first, *_ = await engine.waits(run.id)
        await engine.resume(first.id, Answer({"action": "raise", "cost": 1}))
        run = await rest(engine, run)
        assert (run.state, model.calls, run.usage.cost) == ("completed", 8, Decimal("0.4"))


async def test_a_sub_workflow_with_a_budget_of_its_own_is_stopped_by_itself(lab: Lab) -> None:
    child = lab.workflow(loop(4), id="child", budget={"cost": "0.1"})
    flow = lab.workflow(workflow("x", workflow="child", on_error="continue"), set_("after", value=1))
    async with lab.open(flow, child, agents={"m": Model()}) as engine:
        run = await rest(engine, await engine.start("main", None))
        await engine.resume((await question(engine, run)).id, Answer({"action": "stop"}))
        done = await lab.finish(engine, run)
    done.completed()
    assert done.run.tolerated == 1


async def test_a_while_loop_is_held_too_and_steps_that_only_compute_are_not(lab: Lab) -> None:
    model = Model()
    flow = lab.workflow(
        set_("n", value=0),
        while_("again", condition="true", max_iterations=9, steps=[agent_run("ask", agent="m", prompt="x")]),
        budget={"cost": "0.1"},
    )
    async with lab.open(flow, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert (run.state, model.calls) == ("input-required", 2)
        await engine.cancel(run.id)
        assert (await rest(engine, run)).state == "canceled"


async def test_a_question_and_a_raise_outlive_the_host_and_sums_stay_exact(lab: Lab, tmp_path: Path) -> None:
    store, model, gate = tmp_path / "runs.db", Model(), Gate()
    flow: Workflow = lab.workflow(loop(6), lab.call("last", gate), budget={"cost": "0.17", "steps": 100})
    async with lab.open(flow, store=store, agents={"m": model}) as engine:
        run = await rest(engine, await engine.start("main", None))
        assert model.calls == 3
    async with lab.open(flow, store=store, agents={"m": model}) as engine:
        assert (await rest(engine, run)).state == "input-required"
        await engine.resume((await question(engine, run)).id, Answer({"action": "raise", "cost": "0.31"}))
        await gate.inside()
        doom(engine)
    gate.open()
    async with lab.open(flow, store=store, agents={"m": model}) as engine:
        run = await rest(engine, run)
    assert (run.state, model.calls, run.usage.cost, run.usage.calls) == ("completed", 6, Decimal("0.3"), 6)
