"""What it costs to go on with a large run: its rows are read, and its tree is rebuilt from them.

Runs of 10,000 steps that are done, beside one wait: a graph, a loop, and groups. CPU time of this process: of the first
time, as after a restart, and the best of several rounds. As a script it prints a line for each; `--json` prints JSON as
the last one.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from scale import dag

from agentflow import Engine, Step, Workflow, config_from
from agentflow.engine.host.restore import restore
from agentflow.steps import for_each, parallel, set_, wait_for_input
from agentflow.store.loaded import LoadedTree

WAIT = wait_for_input("answer", message="?", execution="parallel")


def graph(size: int) -> Workflow:
    """Return a graph of steps, and a wait."""
    steps = [step.model_copy(update={"type": "set", "config": {"value": 1}}) for step in dag(size).steps]
    return Workflow(id="graph", steps=(WAIT, *steps))


def loop(size: int) -> Workflow:
    """Return a loop over items, and a wait."""
    body = set_("one", value="{item}")
    every = for_each("all", in_=list(range(size)), steps=[body], max_parallel=100, execution="parallel")
    return Workflow(id="loop", steps=(WAIT, every))


def groups(size: int) -> Workflow:
    """Return groups of ten steps each, and a wait."""
    boxes: list[Step] = [
        parallel(f"box{n}", steps=[set_(f"s{m}", value=m) for m in range(10)], execution="parallel")
        for n in range(size // 10)
    ]
    return Workflow(id="groups", steps=(WAIT, *boxes))


SHAPES: dict[str, Callable[[int], Workflow]] = {"graph": graph, "loop": loop, "groups": groups}


async def rebuild(workflow: Workflow, size: int, path: Path, rounds: int) -> dict[str, float]:
    """Run a workflow up to its wait; return the CPU seconds of reading it and of rebuilding it."""
    reading: list[float] = []
    building: list[float] = []
    async with Engine.open(path, config=config_from([workflow])) as engine:
        run = await engine.start(workflow.id)
        await engine.wait(run.id)
        await engine.core.idle()
        row = await engine.store.get_run(run.id)
    async with Engine.open(path, config=config_from([workflow]), host="none") as engine:
        core = engine.core
        for _ in range(rounds):
            gc.collect()
            gc.disable()
            began = time.process_time()
            loaded = await engine.store.load(row.run if row is not None else 0)
            reading.append(time.process_time() - began)
            if not isinstance(loaded, LoadedTree):
                raise SystemExit("the run is gone")
            began = time.process_time()
            tree = restore(core.env, loaded, core.env.program)
            building.append(time.process_time() - began)
            gc.enable()
            if len(tree.root.waits) != 1 or len(loaded.runs[0].steps) < size:
                raise SystemExit("it isn't the run that was meant")
            del tree, loaded
    return {"first": building[0], "reading": min(reading), "building": min(building)}


def measure(size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure all shapes."""
    found: dict[str, dict[str, float]] = {}
    for name, make in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = anyio.run(rebuild, make(size), size, Path(folder) / "runs.db", rounds)
        first, reading, building = (found[name][each] * 1e3 for each in ("first", "reading", "building"))
        print(f"{name}: {size:,} steps read in {reading:.1f} ms, rebuilt in {building:.1f} ms, first in {first:.1f} ms")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measure(given.size, given.rounds)
    if given.json:
        print(json.dumps(rows))
