"""DBOS on SQLite as it ships: the graph interpreted in an async workflow, one `run_step_async` a step.

Strict is what it ships with (a rollback journal, FULL). Relaxed hands it an engine of ours with WAL and NORMAL.
"""

from __future__ import annotations

import asyncio
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peering import WARM, Bench, interpret, leave, until
from protocol import Clock, Report, Task, allocated, database, load, sqlite_versions
from workloads import MAX_PARALLEL, Node, Workload

# Its SQLite backend needs SQLite 3.42; the interpreter's may be older, so another build takes its place.
sqlite: Any = load("pysqlite3")
sys.modules["sqlite3"] = sqlite
sys.modules["sqlite3.dbapi2"] = load("pysqlite3.dbapi2")

alchemy: Any = load("sqlalchemy")
dbos: Any = load("dbos").DBOS
THREADS = 4
"""Without a limit, 100 steps at once are 100 threads that wait for SQLite's lock: a half to a fifth of the speed."""
PRAGMAS = {"strict": {"journal_mode": "delete", "synchronous": 2}, "relaxed": {"journal_mode": "wal", "synchronous": 1}}


def relaxed_engine(path: Path) -> Any:
    """Return an engine like its own, but with WAL and NORMAL."""
    engine = alchemy.create_engine(f"sqlite:///{path}")

    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    alchemy.event.listen(engine, "connect", connected)
    return engine


def workflow(bench: Bench) -> Any:
    """Return the workflow that does a run of a workload."""
    run_step = dbos.run_step_async
    options: dict[str, Any] = {}

    def begin(node: Node, results: Any) -> Any:
        if bench.work.texts:
            return asyncio.ensure_future(run_step(options, bench.add, node.index, results))
        return asyncio.ensure_future(run_step(options, bench.step, node.index))

    async def loop() -> list[Any]:
        if bench.work.name == "while":
            results = [await run_step(options, bench.step, 0)]
            while results[-1]["ok"] < bench.work.items - 1:
                results.append(await run_step(options, bench.step, len(results)))
            return results
        # As wide as the loop may be, always waiting for the oldest item: the order of starts is the same in a replay.
        window = tuple(
            Node(n, f"s{n}", (n - MAX_PARALLEL,) if n >= MAX_PARALLEL else ()) for n in range(bench.work.items)
        )
        return await interpret(window, begin)

    async def flow(begun: float) -> None:
        bench.ended(begun, await (loop() if bench.work.items else interpret(bench.work.nodes, begin)))

    return dbos.workflow(name=f"flow-{bench.work.name}-{id(bench)}")(flow)


async def execute(work: Workload, flow: Any) -> None:
    """Do all runs."""
    await asyncio.gather(*(flow(time.perf_counter()) for _ in range(work.runs)))


def pragmas() -> dict[str, Any]:
    """Return the settings of a connection of its pool."""
    with load("dbos._dbos")._get_dbos_instance()._sys_db.engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS["strict"]}


def stored(path: Path) -> int:
    """Return how many results of steps are in the database."""
    connection = sqlite.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM operation_outputs").fetchone()[0])
    finally:
        connection.close()


async def repetition(task: Task) -> Report:
    """Do one repetition."""
    bench, warm = Bench(task.workload), Bench(WARM)
    path = task.folder / "dbos.db"
    report = Report()
    started = time.perf_counter()
    config: dict[str, Any] = {
        "name": "bench",
        "system_database_url": f"sqlite:///{path}",
        "log_level": "ERROR",
        "application_version": "1",
        "executor_id": "one",
        "max_executor_threads": THREADS,
    }
    if not task.strict:
        config["system_database_engine"] = relaxed_engine(path)
    dbos(config=config)
    warming, flow = workflow(warm), workflow(bench)
    dbos.launch()
    await execute(WARM, warming)
    report.setup_seconds = time.perf_counter() - started
    report.pragmas = pragmas()
    with Clock() as clock:
        complete = await until(task.cap, execute(task.workload, flow))
    report.db_bytes = allocated(*database(path))
    report.verified = report.pragmas == PRAGMAS[task.promise]
    if complete:
        dbos.destroy()
        if engine := config.get("system_database_engine"):
            engine.dispose()  # it leaves ours open, with a write-ahead log that isn't in the database yet
        report.db_bytes_closed = path.stat().st_size
        if (rows := stored(path)) != task.workload.planned_steps + len(WARM.nodes):
            bench.wrong.append(f"{rows} results are stored")
    if not report.verified:
        bench.wrong.append(f"the promise isn't kept: {report.pragmas}")
    bench.fill(report, clock, complete)
    report.extra["max_executor_threads"] = THREADS
    report.versions = sqlite_versions() | {"sqlite": sqlite.sqlite_version, "dbos": version("dbos")}
    return report


def run(task: Task) -> Report:
    """Do one repetition of DBOS."""
    # Not asyncio.run: at the cap, tasks are left where they are.
    return asyncio.new_event_loop().run_until_complete(repetition(task))


if __name__ == "__main__":
    leave("dbos", run, ("strict", "relaxed"))
