"""How late this host's timers are while another host, which is only stopped, has many that are overdue.

Beside nobody, and beside a stopped host with 500 and with 50,000 overdue timers and a command for every tenth: runs
with a delay each, and how long after its due time each was told to have ended. `foreign loads` counts how often a tree
of the stopped host was read; the script fails where that isn't 0. It prints a line for each case; `--json` prints JSON
as the last one.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from agentflow import Engine, Workflow
from agentflow.steps import delay
from agentflow.store import open_store
from agentflow.store.liveness import Liveness
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import RunChange, TimerRow
from agentflow.testing.store_suite.builders import new_run, text_id

FLOW = Workflow(id="nap", steps=(delay("nap", for_="{input.seconds}s"),))
CHUNK = 1000


async def stop_a_host(path: Path, timers: int) -> Liveness:
    """Leave trees with an overdue timer each, held by a host that lives and does nothing."""
    store = await open_store(path, durability="relaxed")
    store.holder = "stopped"
    await store.liveness.join(store.holder)
    due = time.time() - 60
    for first in range(0, timers, CHUNK):
        numbers = range(first, min(first + CHUNK, timers))
        keys = await store.new_keys(len(numbers))
        rows = [(n, key, [TimerRow(due, key, 0, "timer")]) for n, key in zip(numbers, keys, strict=True)]
        await store.commit([RunChange(key, key, 1, create=new_run(f"f{n}"), timers=row) for n, key, row in rows])
    for n in range(0, timers, 10):
        await store.request(text_id(f"f{n}"), "pause", {})
    await store.close()
    return store.liveness


async def lateness(path: Path, timers: int, runs: int, seconds: float) -> dict[str, float]:
    """Return how late runs with a delay ended, in milliseconds, and how many foreign trees were read for that."""
    stopped = await stop_a_host(path, timers)
    source, late = random.Random(0), list[float]()
    async with Engine.open(path, workflows=[FLOW]) as engine:
        load, acquire, loads = engine.store.load, engine.store.acquire, 0

        async def counted(root: int) -> LoadedTree | None:
            nonlocal loads
            tree = await load(root)
            loads += tree is not None and tree.holder == "stopped"
            return tree

        async def taken(root: int, dead: Any = ()) -> LoadedTree | None:
            nonlocal loads
            loads += "stopped" in dead
            return await acquire(root, dead)

        engine.store.load, engine.store.acquire = counted, taken

        async def one() -> None:
            run = await engine.start("nap", {"seconds": round(source.uniform(seconds / 10, seconds), 3)})
            row = await engine.store.get_run(run.id)
            ((_, timer),) = await engine.store.due(float("inf"), [row.run if row else 0])
            await engine.wait(run.id)
            late.append((time.time() - timer.due) * 1e3)

        async with anyio.create_task_group() as group:
            for _ in range(runs):
                group.start_soon(one)
    await stopped.leave()
    late.sort()
    return {"p50": late[runs // 2], "p95": late[runs * 95 // 100], "most": late[-1], "foreign loads": loads}


def measure(cases: list[int], runs: int, seconds: float) -> dict[str, dict[str, float]]:
    """Measure all cases."""
    found: dict[str, dict[str, float]] = {}
    for timers in cases:
        with tempfile.TemporaryDirectory() as folder:
            told = found[str(timers)] = anyio.run(lateness, Path(folder) / "runs.db", timers, runs, seconds)
        print(
            f"{timers:,} overdue timers of a stopped host: {runs} of this one's p50 {told['p50']:.1f}, p95"
            f" {told['p95']:.1f}, at most {told['most']:.1f} ms late; {told['foreign loads']} loads of foreign trees"
        )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timers", type=int, nargs="+", default=[0, 500, 50_000])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measure(given.timers, given.runs, given.seconds)
    if given.json:
        print(json.dumps(rows))
    if any(told["foreign loads"] for told in rows.values()):
        raise SystemExit("a tree of the stopped host was read")
