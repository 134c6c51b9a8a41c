"""agentflow through its front door: a config file as data, the public `Engine`, a store in a file.

`limit.py` runs a repetition too, and records what is written while the clock runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import anyio
import apsw
from protocol import (
    Clock,
    Report,
    Task,
    allocated,
    database,
    latency,
    main,
    percentile,
    spread,
    sqlite_versions,
    tenths,
)
from workloads import MAX_PARALLEL, WIDTH, Workload, check_order, value

from agentflow import Context, Engine, Run, load_config

TICK = 0.001


@dataclass
class Marks:
    """When which step was executed."""

    times: list[float] = field(default_factory=list[float])
    order: list[int] = field(default_factory=list[int])
    runs: list[float] = field(default_factory=list[float])
    """Seconds from a run's start to its end."""


def definition(work: Workload, promise: str) -> dict[str, Any]:
    """Return the config file of a workload, with a second workflow to warm up with."""
    flow: dict[str, Any] = {"steps": _steps(work)}
    if work.name == "for_each":
        flow["input"] = {"items": "array"}
    call = {"type": "python", "function": "bench:warm", "input": {"index": 0}}
    warm = {"steps": [{"id": "a", **call}, {"id": "b", **call}]}
    # As many steps side by side as the widest workload has: the peers have no limit at all.
    limits = {"max_parallel": WIDTH, "host_parallel": max(256, work.runs)}
    return {"durability": promise, "limits": limits, "workflows": {"flow": flow, "warm": warm}}


def _steps(work: Workload) -> list[dict[str, Any]]:
    if work.name == "for_each":
        body = {"id": "one", "type": "python", "function": "bench:step", "input": {"index": "{index}"}}
        loop = {"id": "loop", "type": "for_each", "in": "{input.items}"}
        return [loop | {"max_parallel": MAX_PARALLEL, "steps": [body]}]
    if work.name == "while":
        body = {"id": "one", "type": "python", "function": "bench:step", "input": {"index": "{index}"}}
        more = f"steps.one == null || steps.one.ok < {work.items - 1}"
        limit = work.items + 1
        return [{"id": "loop", "type": "while", "condition": more, "max_iterations": limit, "steps": [body]}]
    function = "bench:add" if work.name == "ctx" else "bench:step"
    return [
        {"id": node.id, "type": "python", "function": function, "input": {"index": node.index}, "execution": "parallel"}
        | ({"depends_on": [work.nodes[other].id for other in node.after]} if node.after else {})
        for node in work.nodes
    ]


def functions(work: Workload, marks: Marks) -> dict[str, Callable[..., Any]]:
    """Return what the steps call."""
    now, times, order, texts = time.perf_counter, marks.times, marks.order, work.texts
    last = len(texts) - 1

    async def step(index: int) -> dict[str, int]:
        times.append(now())
        order.append(index)
        return value(index)

    async def add(index: int, ctx: Context) -> str:
        seen = ctx.steps
        if index and (seen["s0"] != texts[0] or seen[f"s{index - 1}"] != texts[index - 1]):
            raise AssertionError(f"step {index} doesn't see the texts before it")
        if index == last and any(seen[f"s{before}"] != texts[before] for before in range(index)):
            raise AssertionError("the last step doesn't see all texts")
        times.append(now())
        order.append(index)
        return texts[index]

    async def warm(index: int) -> dict[str, int]:
        return value(index)

    return {"bench:step": step, "bench:add": add, "bench:warm": warm}


class Stalls:
    """How late the event loop comes to a timer that asks every millisecond: a callback, not a task, to disturb little.

    A timer may be a millisecond late by itself, as the loop waits in whole milliseconds.
    """

    def __init__(self) -> None:
        """Look from `begin` on."""
        self.late: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin to look."""
        self._due = self._loop.time() + TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        self.late.append(now - self._due)
        self._due = now + TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def end(self) -> dict[str, float]:
        """Stop; return milliseconds. A stall at the very end counts too."""
        if self._handle is not None:
            self._handle.cancel()
        self.late.append(max(0.0, self._loop.time() - self._due))
        return {**spread(self.late, (0.5,)), "p99": round(percentile(self.late, 0.99) * 1000, 3)}


async def execute(engine: Engine, work: Workload, marks: Marks) -> list[Run]:
    """Start the runs of a workload, all at once, and wait for their ends."""
    given = {"items": list(range(work.items))} if work.name == "for_each" else None
    ended: list[Run] = []

    async def one() -> None:
        begun = time.perf_counter()
        run = await engine.start("flow", given)
        ended.append(await engine.wait(run.id))
        marks.runs.append(time.perf_counter() - begun)

    if work.runs == 1:
        await one()
        return ended
    await asyncio.gather(*[one() for _ in range(work.runs)])
    return ended


async def check(engine: Engine, work: Workload, marks: Marks, ended: list[Run]) -> str | None:
    """Tell what is wrong with what was done; None: nothing."""
    for run in ended:
        if run.state != "completed":
            return f"a run ended as {run.state}: {run.failure}"
    if len(ended) != work.runs or len(marks.order) != work.planned_steps:
        return f"{len(ended)} of {work.runs} runs and {len(marks.order)} of {work.planned_steps} steps were done"
    if work.items:
        results = {"for_each": [{"one": value(n)} for n in range(work.items)], "while": {"one": value(work.items - 1)}}
        return None if ended[0].output == results[work.name] else "the loop's result is wrong"
    if work.runs > 1:
        wrong = [run.id for run in ended if run.output != value(len(work.nodes) - 1)]
        return f"{len(wrong)} runs have a wrong result" if wrong else None
    results = {step.address: step.result for step in await engine.steps(ended[0].id)}
    for node in work.nodes:
        wanted = work.texts[node.index] if work.texts else value(node.index)
        if json.loads(results[node.id] or b"null") != wanted:
            return f"the result of {node.id} is wrong"
    return check_order(work.nodes, marks.order)


def nothing() -> None:
    """Do nothing."""


async def repetition(
    task: Task, connections: list[Any], begin: Callable[[], None] = nothing, end: Callable[[], None] = nothing
) -> Report:
    """Do one repetition.

    Args:
        task: what to do.
        connections: those to the database that were opened; settings are read from the one that writes.
        begin: called when the clock starts.
        end: called when it stops.
    """
    store = task.folder / "runs.db"
    file = task.folder / "agentflow.json"
    file.write_text(json.dumps(definition(task.workload, task.promise)), encoding="utf-8")
    marks = Marks()
    report = Report(payload_bytes=task.workload.payload_bytes or None)
    started = time.perf_counter()
    config = load_config(file)
    report.compile_seconds = time.perf_counter() - started
    ended: list[Run] = []
    async with Engine.open(store, config=config, functions=functions(task.workload, marks)) as engine:
        await engine.wait((await engine.start("warm")).id)
        report.setup_seconds = time.perf_counter() - started - report.compile_seconds
        stalls = Stalls()
        begin()
        with Clock() as clock, anyio.move_on_after(task.cap) as scope:
            stalls.begin()
            ended = await execute(engine, task.workload, marks)
        report.stalls_ms = stalls.end()
        end()
        report.complete = not scope.cancelled_caught
        report.db_bytes = allocated(*database(store))
        report.pragmas = pragmas(connections)
        wrong = await check(engine, task.workload, marks, ended) if report.complete else None
    report.db_bytes_closed = store.stat().st_size
    report.seconds, report.cpu_seconds, report.steps = clock.seconds, clock.cpu, len(marks.times)
    report.start_seconds = min(marks.times, default=clock.start) - clock.start
    many = task.workload.runs > 1
    report.latency_ms = spread(marks.runs) if many else latency(task.workload, marks.times, clock.start)
    report.first_tenth_seconds, report.last_tenth_seconds = tenths(marks.times)
    report.verified = wrong is None
    report.extra = {"wrong": wrong} if wrong else {}
    report.versions = sqlite_versions() | {"sqlite": apsw.sqlite_lib_version(), "agentflow": ours()}
    return report


def ours() -> str:
    """Return our version."""
    return version("agentflow-workflows")


def pragmas(connections: list[Any]) -> dict[str, Any]:
    """Return the settings of the connection that writes: of those that are open, the one that may."""
    found: dict[str, Any] = {}
    for db in connections:
        try:
            if db.pragma("query_only"):
                continue
            found = {name: db.pragma(name) for name in ("journal_mode", "synchronous", "wal_autocheckpoint")}
        except apsw.ConnectionClosedError:
            continue
    return found


def run(task: Task) -> Report:
    """Do one repetition of ours."""
    connections: list[Any] = []
    apsw.connection_hooks.append(connections.append)
    return anyio.run(repetition, task, connections)


if __name__ == "__main__":
    main("agentflow", run)
