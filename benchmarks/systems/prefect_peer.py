"""Prefect: a local server on SQLite, one flow a run, an async task a step, its result kept in a file.

Relaxed: its database is WAL and NORMAL, and results are written without fsync. Results are kept under a key of run and
step, so that a flow which is run again goes on where it was: without them a crash would lose all that was done.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peering import WARM, Bench, Server, answers, free_ports, interpret, leave, until
from protocol import Clock, Report, Task, allocated, cpu, database, load, pss_mb, sqlite_versions
from workloads import MAX_PARALLEL, Node, Workload

SERVICES = ("SCHEDULER", "LATE_RUNS", "CANCELLATION_CLEANUP", "PAUSE_EXPIRATIONS", "FOREMAN", "TRIGGERS", "REPOSSESSOR")
"""What only schedules, automations and workers need."""

AT_ONCE = 32
"""Flows under way in the process: of 1,000 at once none gets to its first step within 40 seconds."""


def settings(folder: Path, port: int) -> dict[str, str]:
    """Return its settings, as environment variables."""
    return {
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in SERVICES},
    }


def key(context: Any, parameters: dict[str, Any]) -> str:
    """Return the key of a step's result: cheaper than a hash of what the step sees, and enough to go on from."""
    return f"{context.task_run.flow_run_id}-{parameters['index']}"


def make_flow(bench: Bench) -> Any:
    """Return the flow that does a run of a workload."""
    prefect = load("prefect")
    policy = load("prefect.cache_policies").CacheKeyFnPolicy(cache_key_fn=key)
    kept: dict[str, Any] = {"persist_result": True, "cache_policy": policy}

    async def step(index: int) -> dict[str, int]:
        return await bench.step(index)

    async def add(index: int, seen: Any) -> str:
        return await bench.add(index, seen)

    step_task, add_task = prefect.task(**kept)(step), prefect.task(**kept)(add)
    quote = load("prefect.utilities.annotations").quote

    def begin(node: Node, results: Any) -> Any:
        if bench.work.texts:
            return asyncio.ensure_future(add_task(node.index, quote(results)))
        return asyncio.ensure_future(step_task(node.index))

    async def loop() -> list[Any]:
        if bench.work.name == "while":
            results = [await step_task(0)]
            while results[-1]["ok"] < bench.work.items - 1:
                results.append(await step_task(len(results)))
            return results
        items = range(bench.work.items)
        window = [Node(n, f"s{n}", (n - MAX_PARALLEL,) if n >= MAX_PARALLEL else ()) for n in items]
        return await interpret(window, begin)

    async def flow(begun: float) -> None:
        bench.ended(begun, await (loop() if bench.work.items else interpret(bench.work.nodes, begin)))

    return prefect.flow(name=bench.work.name, persist_result=False, validate_parameters=False)(flow)


async def execute(work: Workload, flow: Any) -> None:
    """Do all runs. They are asked for at once, and their latency counts from there."""
    begun, admitted = time.perf_counter(), asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with admitted:
            await flow(begun)

    await asyncio.gather(*(one() for _ in range(work.runs)))


def pragmas(path: Path) -> dict[str, Any]:
    """Return the settings of a connection made the way the server makes its own."""
    configuration = load("prefect.server.database.configurations").AioSqliteConfiguration

    async def ask() -> dict[str, Any]:
        engine = await configuration(f"sqlite+aiosqlite:///{path}").engine()
        async with engine.connect() as connection:
            names = ("journal_mode", "synchronous")
            return {name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in names}

    return asyncio.run(ask())


async def measure(task: Task, server: Server, report: Report, bench: Bench, started: float) -> tuple[Clock, bool]:
    """Warm up, then do the runs."""
    warming, flow = make_flow(Bench(WARM)), make_flow(bench)
    await execute(WARM, warming)
    report.setup_seconds = time.perf_counter() - started
    before = cpu(server.pid)
    with Clock(server.pid) as clock:
        complete = await until(task.cap, execute(task.workload, flow))
    report.extra["server_cpu_seconds"] = round(cpu(server.pid) - before, 2)
    return clock, complete


def run(task: Task) -> Report:
    """Do one repetition of Prefect."""
    folder, report, bench = task.folder.resolve(), Report(), Bench(task.workload)
    [port] = free_ports(1)
    os.environ.update(settings(folder, port))  # before it is imported
    started = time.perf_counter()
    serve = ["-m", "uvicorn", "--factory", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    path = folder / "prefect.db"
    with Server("prefect", [sys.executable, *serve, "prefect.server.api.server:create_app"], folder) as server:
        answers(f"http://127.0.0.1:{port}/api/health", server)
        loop = asyncio.new_event_loop()  # not asyncio.run: at the cap, tasks are left where they are
        clock, complete = loop.run_until_complete(measure(task, server, report, bench, started))
        report.server_pss_mb = pss_mb(server.pid)
        report.db_bytes = allocated(*database(path), folder / "home" / "storage")
    report.db_bytes_closed = allocated(*database(path), folder / "home" / "storage")
    results = sum(1 for _ in (folder / "home" / "storage").iterdir()) - len(WARM.nodes)
    if complete and results != task.workload.planned_steps:
        bench.wrong.append(f"{results} results are stored")
    report.pragmas = pragmas(path)
    report.verified = report.pragmas == {"journal_mode": "wal", "synchronous": 1}
    bench.fill(report, clock, complete)
    report.extra["flows_at_once"] = AT_ONCE
    report.versions = sqlite_versions() | {"prefect": version("prefect")}
    return report


if __name__ == "__main__":
    leave("prefect", run, ("relaxed",))
