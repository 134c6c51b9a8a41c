"""What a flood of lines costs: events and rows, and how late the event loop comes to a timer meanwhile.

    python benchmarks/floods.py [--lines 100000]

Exits with 1 when the loop stands still for 50 ms or more.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import anyio
from verdict import AT_MOST, Ratio, conclude

from agentflow import Context, Engine, Step, Workflow, config_from
from agentflow.steps import python, script

LIMIT = 50.0
"""Milliseconds."""
BEAT = 0.005


class Lateness:
    """How late a timer comes at worst."""

    def __init__(self) -> None:
        """Begin with none."""
        self.worst = 0.0

    async def beat(self) -> None:
        """Wait again and again."""
        while True:
            before = time.perf_counter()
            await anyio.sleep(BEAT)
            self.worst = max(self.worst, time.perf_counter() - before - BEAT)


async def one(name: str, step: Step, lines: int) -> Ratio:
    """Run a step that tells many lines; prints what came of it."""

    async def tell(ctx: Context) -> None:
        for number in range(lines):
            ctx.log(f"line {number}")
            if number % 100 == 0:
                await anyio.lowlevel.checkpoint()

    late = Lateness()
    config = config_from(
        [Workflow(id="main", steps=(step,))], skills=["native:shell", "native:python"], python_modules=("bench",)
    )
    with tempfile.TemporaryDirectory(prefix="floods-") as folder:
        store = Path(folder) / "runs.db"
        async with Engine.open(store, config=config, functions={"bench:tell": tell}) as engine:
            began = time.perf_counter()
            run = await engine.start("main")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(late.beat)
                run = await engine.wait(run.id)
                tasks.cancel_scope.cancel()
            took = time.perf_counter() - began
            events = await engine.store.events(run.id, 0, 1_000_000, False)
        size = store.stat().st_size / 1e6
    print(f"{name:10}{run.state}: {lines:,} lines, {len(events):,} events, {size:.1f} MB, {took:.2f} s", flush=True)
    return Ratio(f"{name}, the loop's longest stall", late.worst * 1000, AT_MOST, LIMIT, unit=" ms")


async def measure(lines: int) -> list[Ratio]:
    """Measure streamed lines of a script, empty ones, and those of a function."""
    return [
        await one("script", script("a", run=f"seq 1 {lines}", output_format="stream"), lines),
        await one("empty", script("a", run=f"yes '' | head -n {lines}", output_format="stream"), lines),
        await one("function", python("a", function="bench:tell"), lines),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000)
    conclude(anyio.run(measure, parser.parse_args().lines))
