"""Cost grows with the change, not with the run: a long chain validates and plans, time per step stays flat.

In memory, so that it is the engine alone. Exits with 1 when the ratio is over its limit.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence

import anyio
from pydantic import BaseModel
from verdict import AT_MOST, Ratio, conclude

from agentflow import Context, Engine, Result, Step, Workflow, config_from, step_type

LIMIT = 1.3
"""Time per step in the largest graph over that in the smallest one."""


class Nothing(BaseModel, extra="forbid"):
    """No fields."""


@step_type("bench_nothing", config=Nothing)
async def nothing(config: Nothing, ctx: Context) -> Result:
    """Do nothing."""
    return Result(None)


def chain(size: int) -> Workflow:
    """Return steps that each depend on the one before."""
    steps = [Step(id="s0", type="bench_nothing")]
    steps += [Step(id=f"s{n}", type="bench_nothing", depends_on=(f"s{n - 1}",)) for n in range(1, size)]
    return Workflow(id=f"chain{size}", steps=tuple(steps))


def dag(size: int, width: int = 20) -> Workflow:
    """Return layers of `width` steps; each depends on three of the layer above."""
    steps: list[Step] = []
    for n in range(size):
        above = (n // width - 1) * width
        parents = {above + (n + shift) % width for shift in (0, 1, 7)} if n >= width else set[int]()
        steps.append(
            Step(
                id=f"s{n}",
                type="bench_nothing",
                execution="parallel",
                depends_on=tuple(f"s{parent}" for parent in sorted(parents)),
            )
        )
    return Workflow(id=f"dag{size}", steps=tuple(steps))


async def plan(workflow: Workflow) -> tuple[float, float]:
    """Return the seconds that it takes to validate a workflow, and to start a run of it without executing a step."""
    start = time.perf_counter()
    config = config_from([workflow])
    checked = time.perf_counter()
    async with Engine.open(":memory:", config=config, host="none") as engine:
        await engine.start(workflow.id)
    return checked - start, time.perf_counter() - checked


async def per_step(workflow: Workflow) -> float:
    """Run a workflow in memory; return microseconds per step, validation apart."""
    async with Engine.open(":memory:", config=config_from([workflow])) as engine:
        gc.collect()
        start = time.perf_counter()
        run = await engine.start(workflow.id)
        run = await engine.wait(run.id)
        took = time.perf_counter() - start
    if run.state != "completed":
        raise SystemExit(f"{workflow.id} ended as {run.state}: {run.failure}")
    return took / len(workflow.steps) * 1e6


async def measure(sizes: Sequence[int], rounds: int, long: int = 100_000) -> list[Ratio]:
    """Measure; prints seconds."""
    checked, started = await plan(chain(long))
    print(f"chain of {long:,} steps: validated in {checked:.2f} s, planned and started in {started:.2f} s")
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            took[size].append(await per_step(dag(size)))
    for size, values in took.items():
        print(f"graph of {size:6,} steps: {min(values):7.1f} µs per step in memory (best of {rounds})")
    ratio = min(took[sizes[-1]]) / min(took[sizes[0]])
    return [Ratio(f"graph in memory, time per step at {sizes[-1]:,} steps / at {sizes[0]:,}", ratio, AT_MOST, LIMIT)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    conclude(anyio.run(measure, arguments.sizes, arguments.rounds))
