"""The parts of `parked.py` that need a process of their own. Each prints one line of JSON and ends."""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import anyio
from parked_raw import RawCommits

from agentflow import Answer, Config, Engine, Workflow, config_from
from agentflow.steps import delay, python, wait_for_input
from agentflow.store.rows import RunQuery

TOGETHER = 500
"""Runs that are started at once."""
TURNS = 50
"""Turns of the event loop in which a host that has just opened has looked for work and timers; it needs about 10."""
ANSWER = {"approve": True, "note": "looks good"}
SCHEMA = {"type": "object", "properties": {"approve": {"type": "boolean"}, "note": {"type": "string"}}}

review = Workflow(
    id="review",
    steps=(
        wait_for_input("ask", message="Publish the report?", schema=SCHEMA),
        python("next", function="bench:next_step", input={"n": "{input.n}", "answer": "{steps.ask}"}),
    ),
)
nap = Workflow(id="nap", steps=(delay("sleep", until="{input.until}"),))


def config() -> Config:
    """Return the config of all parts."""
    return config_from((review, nap), skills=["native:python"], python_modules=("bench",))


def rss() -> int:
    """Return the bytes of memory that this process has now."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize()


def cpu() -> float:
    """Return the CPU seconds that this process has used."""
    return time.process_time()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and the largest of some values."""
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        "max": ordered[-1],
    }


async def _many(count: int, one: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    for low in range(0, count, TOGETHER):
        async with anyio.create_task_group() as group:
            for n in range(low, min(low + TOGETHER, count)):
                group.start_soon(one, n)


async def park(engine: Engine, count: int) -> list[str]:
    """Start runs that wait for input; returns their ids."""
    ids: list[str] = []

    async def one(n: int) -> None:
        run = await engine.start("review", {"n": n})
        ids.append(run.id)

    await _many(count, one)
    return ids


async def seed(args: argparse.Namespace) -> dict[str, Any]:
    """Fill a store with parked runs; keep the ids of some of them beside it."""
    started = time.perf_counter()
    async with Engine.open(args.store, config=config()) as engine:
        ids = await park(engine, args.count)
        took = time.perf_counter() - started
        waiting = await engine.store.count_runs(RunQuery(states=("input-required",)))
        if waiting != args.count:
            raise SystemExit(f"{waiting} of {args.count} runs wait")
    step = max(1, len(ids) // args.sample)
    Path(args.store).with_suffix(".sample").write_text(json.dumps(ids[::step][: args.sample]), encoding="utf-8")
    return {"seconds": took, "bytes": (await anyio.Path(args.store).stat()).st_size}


async def boot(args: argparse.Namespace) -> dict[str, Any]:
    """Open an engine over a store, until it has looked for work and sleeps."""
    made = config()
    started, used = time.perf_counter(), cpu()
    async with Engine.open(args.store, config=made):
        opened = time.perf_counter() - started
        for _ in range(TURNS):
            await anyio.lowlevel.checkpoint()
        ready = time.perf_counter() - started
        return {"opened": opened, "ready": ready, "cpu": cpu() - used, "rss": rss()}


async def rest(args: argparse.Namespace) -> dict[str, Any]:
    """Host parked runs and do nothing."""
    async with Engine.open(args.store, config=config()):
        await anyio.sleep(1)
        used, started = cpu(), time.perf_counter()
        await anyio.sleep(args.seconds)
        return {"cpu": cpu() - used, "seconds": time.perf_counter() - started, "rss": rss()}


async def memory(args: argparse.Namespace) -> dict[str, Any]:
    """Park more and more runs in one process, and look at its memory after each batch."""
    trace = args.kind == "trace"
    points: list[tuple[int, int]] = []
    async with Engine.open(args.store, config=config()) as engine:
        if trace:
            tracemalloc.start()
        total = 0
        while total < args.count:
            await park(engine, args.step)
            total += args.step
            for _ in range(3):
                gc.collect()
            points.append((total, tracemalloc.get_traced_memory()[0] if trace else rss()))
    (low, before), (high, after) = points[0], points[-1]
    return {"per_run": (after - before) / (high - low), "points": points}


def _sample(store: str, count: int, *, skip: int = 0) -> list[str]:
    ids: list[str] = json.loads(Path(store).with_suffix(".sample").read_text(encoding="utf-8"))
    return ids[skip : skip + count]


async def answer(args: argparse.Namespace) -> dict[str, Any]:
    """Answer waits of the process's own runs one by one, and see when the next step starts; raw commits between."""
    seen: list[float] = []
    begun = anyio.Event()

    async def next_step(n: int, answer: Any) -> dict[str, int]:
        seen.append(time.perf_counter())
        begun.set()
        return {"ok": n}

    latencies: list[float] = []
    raw = await RawCommits.open(Path(args.store), Path(args.store).with_name(f"raw{os.getpid()}.db"))
    async with Engine.open(args.store, config=config(), functions={"bench:next_step": next_step}) as engine:
        for turn, run_id in enumerate(_sample(args.store, args.count + args.warm)):
            (wait,) = await engine.waits(run_id)
            if turn >= args.warm:
                raw.commit(run_id)
            begun = anyio.Event()
            started = time.perf_counter()
            await engine.resume(wait.id, Answer(ANSWER))
            await begun.wait()
            run = await engine.wait(run_id)
            if run.state != "completed" or len(seen) != 1:
                raise SystemExit(f"run {run_id} is {run.state} after its answer")
            if turn >= args.warm:
                latencies.append(seen[0] - started)
            seen.clear()
    raw.close()
    floors = {"raw": spread(raw.one_step), "raw_all_rows": spread(raw.all_rows)}
    return {"answer": spread(latencies), **floors, "count": len(latencies)}


async def host(args: argparse.Namespace) -> dict[str, Any]:
    """Host runs until the standard input ends; tell when each next step starts."""

    async def next_step(n: int, answer: Any) -> dict[str, int]:
        print(json.dumps({"n": n, "at": time.monotonic()}), flush=True)
        return {"ok": n}

    async with Engine.open(args.store, config=config(), functions={"bench:next_step": next_step}):
        await anyio.wait_all_tasks_blocked()
        print(json.dumps({"ready": True}), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
    return {"over": True}


async def ask(args: argparse.Namespace) -> dict[str, Any]:
    """Answer waits of runs that another process hosts; tell when."""
    times: dict[int, float] = {}
    async with Engine.open(args.store, config=config(), host="none") as engine:
        for run_id in _sample(args.store, args.count, skip=args.skip):
            (wait,) = await engine.waits(run_id)
            started = time.monotonic()
            await engine.resume(wait.id, Answer(ANSWER))
            run = await engine.get(run_id)
            times[run.input["n"]] = started
            await anyio.sleep(0.01)
    return {"times": times}


async def timers(args: argparse.Namespace) -> dict[str, Any]:
    """Start runs whose delays are due within some seconds; see how late each fires."""
    async with Engine.open(args.store, config=config()) as engine:
        first = time.time() + args.lead

        ids: list[str] = []

        async def one(n: int) -> None:
            run = await engine.start("nap", {"until": first + n * args.seconds / args.count})
            ids.append(run.id)

        started = time.perf_counter()
        await _many(args.count, one)
        took = time.perf_counter() - started
        await anyio.sleep(max(0.0, first - args.quiet - 6 - time.time()))
        used, rested = cpu(), time.perf_counter()
        await anyio.sleep(args.quiet)
        at_rest, rested = cpu() - used, time.perf_counter() - rested
        if time.time() > first:
            raise SystemExit("starting the runs took too long: give --lead more seconds")
        used = cpu()
        await anyio.sleep(first + args.seconds + 1 - time.time())
        busy = cpu() - used
        for run_id in ids:
            await engine.wait(run_id)
        late = await _lateness(engine, args.count)
    return {"started": took, "rest_cpu": at_rest, "rest": rested, "fire_cpu": busy, "late": spread(late)}


async def _lateness(engine: Engine, count: int) -> list[float]:
    late: list[float] = []
    before: str | None = None
    while True:
        runs = await engine.list(RunQuery(states=("completed",), limit=500, before=before))
        if not runs:
            break
        before = runs[-1].id
        late.extend((run.ended_at or 0.0) - run.input["until"] for run in runs)
    if len(late) != count or min(late) < 0:
        raise SystemExit(f"{len(late)} of {count} runs completed, the earliest {min(late):.3f} s after its time")
    return late


PARTS = {part.__name__: part for part in (seed, boot, rest, memory, answer, host, ask, timers)}


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("store")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--warm", type=int, default=20)
    parser.add_argument("--step", type=int, default=2000)
    parser.add_argument("--kind", default="rss")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--lead", type=float, default=40.0)
    parser.add_argument("--quiet", type=float, default=10.0)
    args = parser.parse_args()
    print(json.dumps(anyio.run(PARTS[args.part], args)))


if __name__ == "__main__":
    main()
