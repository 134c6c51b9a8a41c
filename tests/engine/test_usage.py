"""What steps have used: told, kept whatever becomes of the attempt, and summed to the last digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Engine
from agentflow.errors import StepError
from agentflow.steps import for_each, workflow
from agentflow.steps.contract import Context
from agentflow.store.usage_rows import UsageQuery
from agentflow.testing.faults import doom
from agentflow.usage import Usage, cost_of
from tests.engine.hands import Gate
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

PRICES = {"small": {"input": 0.15, "output": "0.6", "cached": 0.075}}


async def attempts(engine: Engine, run_id: str) -> list[tuple[str, int, str, str]]:
    """Return step, attempt, model and cost of what is stored of a run's tree."""
    run = await engine.store.get_run(run_id)
    assert run is not None
    rows = await engine.store.usage(run.root)
    return [(row.step, row.attempt, row.model, str(row.usage.cost.normalize())) for row in rows]


async def test_sums_of_costs_are_exact_where_floats_drift(lab: Lab) -> None:
    async def ask(ctx: Context) -> None:
        for _ in range(10):
            ctx.usage(model="m", cost=0.1)

    flow = lab.workflow(lab.call("a", ask), lab.call("b", ask))
    async with lab.open(flow) as engine:
        run = await lab.finish(engine, await engine.start("main", None))
        done = await engine.get(run.id)
    assert run.state == "completed"
    assert done.usage == Usage(calls=20, parts=cost_of(2))
    assert done.usage.cost == Decimal(2)


async def test_tokens_become_cost_by_the_prices_of_the_config(lab: Lab) -> None:
    def ask(ctx: Context) -> None:
        ctx.usage(model="openai/small-2026-01-31", input_tokens=1001, output_tokens=7, cached_tokens=1)
        ctx.usage(model="unknown", input_tokens=5)

    async with lab.open(lab.workflow(lab.call("a", ask)), config={"prices": PRICES}) as engine:
        run = await engine.wait((await engine.start("main", None)).id)
    assert run.usage.cost == (1000 * Decimal("0.15") + Decimal("0.075") + 7 * Decimal("0.6")) / 10**6
    assert (run.usage.input_tokens, run.usage.output_tokens, run.usage.cached_tokens) == (1006, 7, 1)
    assert run.usage.unpriced == 1


async def test_failed_attempts_count_and_each_is_kept(lab: Lab) -> None:
    async def ask(ctx: Context) -> None:
        ctx.usage(model="m", cost="0.01")
        if ctx.attempt < 3:
            raise StepError("no")

    flow = lab.workflow(lab.call("a", ask, retry={"max_attempts": 3, "base": 0}))
    async with lab.open(flow) as engine:
        run = await engine.wait((await engine.start("main", None)).id)
        assert await attempts(engine, run.id) == [("a", n, "m", "0.01") for n in (1, 2, 3)]
    assert (run.state, run.usage.cost) == ("completed", Decimal("0.03"))


async def test_items_and_sub_workflows_count_in_their_run_and_in_those_above(lab: Lab) -> None:
    async def ask(ctx: Context, cost: str) -> None:
        ctx.usage(cost=cost)

    child = lab.workflow(
        for_each("all", in_=["1", "0.2", "0.03"], steps=[lab.call("ask", ask, input={"cost": "{item}"})]), id="child"
    )
    flow = lab.workflow(lab.call("first", ask, input={"cost": "10"}), workflow("sub", workflow="child"))
    async with lab.open(flow, child) as engine:
        run = await engine.wait((await engine.start("main", None)).id)
        sums = await engine.store.usage_sums(UsageQuery("workflow"))
        (below,) = [each for each in await attempts(engine, run.id) if each[0] == "all[1]/ask"]
    assert run.usage.cost == Decimal("11.23")
    assert below[3] == "0.2"
    assert [(each.name, each.runs, each.usage.cost) for each in sums] == [("main", 1, Decimal("11.23"))]


async def test_what_was_told_before_a_crash_counts_and_nothing_twice(lab: Lab, tmp_path: Path) -> None:
    store, gate = tmp_path / "runs.db", Gate()

    async def ask(ctx: Context) -> None:
        ctx.usage(model="m", cost="0.5")
        await ctx.save("on the way")
        if ctx.address == "a":
            await gate()

    flow = lab.workflow(lab.call("a", ask), lab.call("b", ask))
    async with lab.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        await gate.inside()
        doom(engine)
    gate.open()
    async with lab.open(flow, store=store) as engine:
        with anyio.fail_after(60):
            done = await engine.wait(run.id)
        assert await attempts(engine, run.id) == [("a", 1, "m", "0.5"), ("a", 2, "m", "0.5"), ("b", 1, "m", "0.5")]
    assert (done.state, done.usage.cost) == ("completed", Decimal("1.5"))


@pytest.mark.parametrize(
    "told",
    [{"cost": -1}, {"cost": "a lot"}, {"cost": True}, {"input_tokens": 1.5}, {"input_tokens": -1},
     {"input_tokens": 1, "cached_tokens": 2}, {"cost": float("nan")}, {"calls": 0}],
)  # fmt: skip
async def test_what_is_no_usage_fails_the_step(lab: Lab, told: dict[str, Any]) -> None:
    async def ask(ctx: Context) -> None:
        ctx.usage(**told)

    run = await lab.run(lab.call("a", ask))
    run.failed("AF-TOKENS-INVALID")


async def test_a_result_of_an_sdk_is_read_unless_the_step_has_told_by_itself(lab: Lab) -> None:
    answer = {
        "object": "chat.completion", "model": "small",
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    }  # fmt: skip

    def silent() -> Any:
        return answer

    def telling(ctx: Context) -> Any:
        ctx.usage(model="small", input_tokens=1)
        return answer

    async with lab.open(lab.workflow(lab.call("a", silent), lab.call("b", telling))) as engine:
        run = await engine.wait((await engine.start("main", None)).id)
    assert (run.usage.input_tokens, run.usage.output_tokens, run.usage.cached_tokens) == (11, 2, 4)


def test_a_cost_is_read_as_it_is_written() -> None:
    assert cost_of(0.1) == cost_of("0.1") == cost_of(Decimal("0.1")) == 10**11
    assert cost_of("0.0000000000005") == 0
    assert str(Usage(parts=1).cost) == "1E-12"
    assert Usage(parts=cost_of("1.50")).data["cost"] == "1.5"
