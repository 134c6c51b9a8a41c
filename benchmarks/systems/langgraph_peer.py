"""LangGraph with its SQLite checkpointer: the graph compiled from the same steps, one node a step, reducers over lists.

`durability="sync"` commits each superstep before the next one starts; a fan of 100 is one superstep.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from protocol import Clock, Report, Task, allocated, database, latency, load, main, spread, sqlite_versions, tenths
from workloads import Workload, check_order, value

os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGCHAIN_TRACING_V2"] = "false"

graphs: Any = load("langgraph.graph")
saving: Any = load("langgraph.checkpoint.sqlite.aio")


class State(TypedDict):
    """What the steps of a run add to."""

    done: Annotated[list[Any], operator.add]


class Bench:
    """One repetition."""

    def __init__(self, work: Workload) -> None:
        """Begin with nothing done."""
        self.work = work
        self.times: list[float] = []
        self.order: list[int] = []
        self.runs: list[float] = []

    def graph(self, nodes: Any) -> Any:
        """Return the graph of steps, not yet compiled."""
        graph = graphs.StateGraph(State)
        depended: set[int] = set()
        for node in nodes:
            graph.add_node(node.id, self.step(node.index))
            if not node.after:
                graph.add_edge(graphs.START, node.id)
            elif len(node.after) == 1:
                graph.add_edge(nodes[node.after[0]].id, node.id)
            else:
                graph.add_edge([nodes[other].id for other in node.after], node.id)
            depended.update(node.after)
        for node in nodes:
            if node.index not in depended:
                graph.add_edge(node.id, graphs.END)
        return graph

    def step(self, index: int) -> Any:
        """Return the node of a step."""
        now, times, order, texts = time.perf_counter, self.times, self.order, self.work.texts
        last = len(texts) - 1

        async def step(state: State) -> dict[str, list[Any]]:
            times.append(now())
            order.append(index)
            return {"done": [value(index)]}

        async def add(state: State) -> dict[str, list[Any]]:
            seen = state["done"]
            if len(seen) != index or (index and (seen[0] != texts[0] or seen[-1] != texts[index - 1])):
                raise AssertionError(f"step {index} doesn't see the texts before it")
            if index == last and any(seen[before] != texts[before] for before in range(index)):
                raise AssertionError("the last step doesn't see all texts")
            times.append(now())
            order.append(index)
            return {"done": [texts[index]]}

        return add if texts else step

    async def execute(self, app: Any) -> list[Any]:
        """Run the workload; returns the final states."""
        limit = len(self.work.nodes) + 10

        async def one(number: int) -> Any:
            begun = time.perf_counter()
            config = {"configurable": {"thread_id": f"run{number}"}, "recursion_limit": limit}
            state = await app.ainvoke({"done": []}, config, durability="sync")
            self.runs.append(time.perf_counter() - begun)
            return state

        return await asyncio.gather(*(one(number) for number in range(self.work.runs)))

    def check(self, states: list[Any]) -> str | None:
        """Tell what is wrong; None: nothing."""
        wanted = list(self.work.texts) or [value(node.index) for node in self.work.nodes]
        for state in states:
            found = state["done"] if self.work.texts else sorted(state["done"], key=lambda one: one["ok"])
            if found != wanted:
                return "a run has a wrong result"
        if self.work.runs > 1:
            return None if len(self.order) == self.work.planned_steps else "steps ran more or less than once"
        return check_order(self.work.nodes, self.order)


async def repetition(task: Task) -> Report:
    """Do one repetition."""
    bench = Bench(task.workload)
    report = Report(payload_bytes=task.workload.payload_bytes or None)
    path = task.folder / "checkpoints.db"
    started = time.perf_counter()
    async with saving.AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        if not task.strict:
            await saver.conn.execute("PRAGMA synchronous=NORMAL")
        await warm_up(saver)
        report.setup_seconds = time.perf_counter() - started
        started = time.perf_counter()
        app = bench.graph(task.workload.nodes).compile(checkpointer=saver)
        report.compile_seconds = time.perf_counter() - started
        for name in ("journal_mode", "synchronous"):
            async with saver.conn.execute(f"PRAGMA {name}") as cursor:
                report.pragmas[name] = (await cursor.fetchone())[0]
        wrong: str | None = None
        with Clock() as clock:
            try:
                states = await asyncio.wait_for(bench.execute(app), task.cap)
            except TimeoutError:
                states = None
        report.complete = states is not None
        report.steps = len(bench.times)
        if states is not None:
            wrong = bench.check(states)
        report.db_bytes = allocated(*database(path))
    report.db_bytes_closed = path.stat().st_size
    report.seconds, report.cpu_seconds = clock.seconds, clock.cpu
    report.start_seconds = min(bench.times, default=clock.start) - clock.start
    many = task.workload.runs > 1
    report.latency_ms = spread(bench.runs) if many else latency(task.workload, bench.times, clock.start)
    report.first_tenth_seconds, report.last_tenth_seconds = tenths(bench.times)
    wanted = {"journal_mode": "wal", "synchronous": 2 if task.strict else 1}
    wrong = wrong or (None if report.pragmas == wanted else f"the promise isn't kept: {report.pragmas}")
    report.verified = wrong is None
    report.extra = {"wrong": wrong} if wrong else {}
    names = ("langgraph", "langgraph-checkpoint-sqlite", "aiosqlite")
    report.versions = sqlite_versions() | {name: version(name) for name in names}
    return report


async def warm_up(saver: Any) -> None:
    """Run two steps before the clock starts, as all systems do: what is loaded late is loaded then."""
    small = Workload("chain", 2, 1.0)
    app = Bench(small).graph(small.nodes).compile(checkpointer=saver)
    await app.ainvoke({"done": []}, {"configurable": {"thread_id": "warm"}}, durability="sync")


def run(task: Task) -> Report:
    """Do one repetition of LangGraph."""
    return asyncio.run(repetition(task))


if __name__ == "__main__":
    main("langgraph", run)
