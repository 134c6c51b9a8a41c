"""A reference costs the same in a small and in a large workflow: time per step with one, in memory.

    python benchmarks/references.py [--sizes 500 4000] [--rounds 3]

Exits with 1 when a reference costs more than a fifth more in the large one.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence

import anyio
from verdict import AT_MOST, Ratio, conclude

from agentflow import Engine, Workflow, config_from
from agentflow.steps import set_

LIMIT = 1.2
"""Time per step in the large workflow over that in the small one."""
TEMPLATES = ("{input.x}", "{run.id}", "{run.steps.s0.state}", "{context.n}", "{steps.s0}", "{$.run.id}")


async def per_step(template: str, size: int) -> float:
    """Return microseconds per step."""
    steps = [set_("s0", value=1), *(set_(f"s{n}", value=template) for n in range(1, size))]
    workflow = Workflow.model_validate({"id": "main", "steps": steps, "context": {"n": {"default": 1}}})
    async with Engine.open(":memory:", config=config_from([workflow])) as engine:
        gc.collect()
        began = time.perf_counter()
        run = await engine.wait((await engine.start("main", {"x": 1})).id)
        took = time.perf_counter() - began
    if run.state != "completed":
        raise SystemExit(f"{template} ended as {run.state}: {run.failure}")
    return took / size * 1e6


async def measure(sizes: Sequence[int], rounds: int) -> list[Ratio]:
    """Measure; prints microseconds."""
    ratios: list[Ratio] = []
    small, large = sizes
    for template in TEMPLATES:
        found: dict[int, list[float]] = {small: [], large: []}
        for _ in range(rounds):
            for size in sizes:
                found[size].append(await per_step(template, size))
        best = {size: min(values) for size, values in found.items()}
        print(f"{template:22}{best[small]:8.0f} µs a step of {small:,} {best[large]:8.0f} of {large:,}", flush=True)
        name = f"{template}, time per step at {large:,} steps / at {small:,}"
        ratios.append(Ratio(name, best[large] / best[small], AT_MOST, LIMIT))
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs=2, default=[500, 4000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    conclude(anyio.run(measure, arguments.sizes, arguments.rounds))
