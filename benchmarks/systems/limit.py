"""The raw limit: the rows of a real run, written again by a bare loop.

A run of ours is recorded statement by statement. Then a fresh database gets all that came before the clock started
(settings, schema, the sized log), and the clock runs over the writes of the run alone: `limit-batches` commits as ours
did, `limit-commits` once a step. What ours reads isn't repeated.
"""

from __future__ import annotations

import hashlib
import math
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import anyio
import apsw
import ours
from protocol import Clock, Report, Task, allocated, database, main, spread, sqlite_versions

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")

Statement = tuple[str, list[tuple[Any, ...]]]
"""A text, and the values of each time that it was run in a row."""
Transaction = list[Statement]


@dataclass
class Recording:
    """What the writing connections of a run were told, in order."""

    before: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list[tuple[str, tuple[Any, ...]]])
    """All of it, until the clock started."""
    during: list[tuple[int, str, tuple[Any, ...]]] = field(default_factory=list[tuple[int, str, tuple[Any, ...]]])
    """The same afterwards, with the number of the connection."""
    after: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list[tuple[str, tuple[Any, ...]]])
    """What came when the clock had stopped."""
    phase: str = "before"

    def watch(self, db: Any) -> None:
        """Record a connection that has just been opened, unless it says that it only reads."""
        number = id(db)

        def note(_: Any, sql: str, values: Any) -> bool:
            if "query_only" in sql:
                db.exec_trace = None
                return True
            given: tuple[Any, ...] = tuple(values or ())
            if self.phase == "during":
                self.during.append((number, sql, given))
            else:
                (self.before if self.phase == "before" else self.after).append((sql, given))
            return True

        db.exec_trace = note

    def begin(self) -> None:
        """The clock starts."""
        self.phase = "during"

    def end(self) -> None:
        """The clock stops."""
        self.phase = "after"

    def transactions(self) -> list[Transaction]:
        """Return the writes of the run by transaction."""
        found: list[Transaction] = []
        open_: dict[int, Transaction] = {}
        for number, sql, values in self.during:
            word = sql.split(None, 1)[0].upper()
            if word == "BEGIN":
                open_[number] = []
            elif word == "COMMIT":
                if done := open_.pop(number, []):
                    found.append(done)
            elif word == "ROLLBACK":
                open_.pop(number, None)
            elif word in WRITES:
                into = open_.get(number)
                if into is None:  # on its own
                    into = list[Statement]()
                    found.append(into)
                if into and into[-1][0] == sql:
                    into[-1][1].append(values)
                else:
                    into.append((sql, [values]))
        return found


def rows(transaction: Transaction) -> int:
    """Return how many rows a transaction writes."""
    return sum(len(batch) for _, batch in transaction)


def split(transactions: list[Transaction], commits: int) -> list[Transaction]:
    """Return the same rows in about as many transactions as there are steps, each with its share of every statement.

    A row that a batch updates once for all of its steps (its run's counters) is updated in each of the small ones.
    """
    share = max(1.0, sum(map(rows, transactions)) / commits)
    found: list[Transaction] = []
    for transaction in transactions:
        parts = max(1, round(rows(transaction) / share))
        small: list[Transaction] = [[] for _ in range(parts)]
        for sql, batch in transaction:
            repeats = len(batch) < parts and sql.split(None, 1)[0].upper() == "UPDATE" and "value +" not in sql
            for n, part in enumerate(small):
                mine = batch[n * len(batch) // parts : (n + 1) * len(batch) // parts]
                if mine or repeats:
                    part.append((sql, mine or [batch[n * len(batch) // parts]]))
        found.extend(part for part in small if part)
    return found


def repeat(db: Any, statements: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
    """Run statements as they were, reads and settings included."""
    for sql, values in statements:
        db.execute(sql, values or None).fetchall()


def replay(db: Any, transactions: list[Transaction], cap: float) -> list[float]:
    """Write the transactions until the cap; returns when each was committed."""
    execute, executemany, now = db.execute, db.executemany, time.perf_counter
    marks: list[float] = []
    end = now() + cap
    for transaction in transactions:
        execute("BEGIN IMMEDIATE")
        for sql, batch in transaction:
            executemany(sql, batch)
        execute("COMMIT")
        marks.append(now())
        if marks[-1] > end:
            break
    return marks


def contents(path: Path) -> dict[str, str]:
    """Return a hash of the rows of each table."""
    db: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found: dict[str, str] = {}
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            hashed = hashlib.sha256()
            for row in db.execute(f'SELECT * FROM "{name}"'):
                hashed.update(repr(row).encode())
            found[name] = hashed.hexdigest()
        return found
    finally:
        db.close()


def measure(task: Task, name: str, recording: Recording, transactions: list[Transaction]) -> Report:
    """Replay one way of committing."""
    path = task.folder / f"{name}.db"
    started = time.perf_counter()
    db: Any = apsw.Connection(str(path))
    repeat(db, recording.before)
    report = Report(system=name, setup_seconds=time.perf_counter() - started)
    with Clock() as clock:
        marks = replay(db, transactions, (name == "limit-commits" and task.cap) or math.inf)
    report.complete = len(marks) == len(transactions)
    report.steps = task.workload.planned_steps * len(marks) // len(transactions)
    report.pragmas = ours.pragmas([db])
    report.db_bytes = allocated(*database(path))
    if report.complete:
        repeat(db, recording.after)
    db.close()
    report.db_bytes_closed = path.stat().st_size
    report.seconds, report.cpu_seconds = clock.seconds, clock.cpu
    gaps = [after - before for before, after in zip([clock.start, *marks], marks, strict=False)]
    report.latency_ms = spread(gaps)
    report.payload_bytes = task.workload.payload_bytes or None
    report.versions = sqlite_versions() | {"sqlite": apsw.sqlite_lib_version(), "agentflow": ours.ours()}
    report.extra = {
        "kind": "batches as ours" if name == "limit-batches" else "one commit a step",
        "commits": len(transactions),
        "rows": sum(map(rows, transactions)),
    }
    # What stopped at the cap can't be compared.
    report.verified = not report.complete or contents(path) == contents(task.folder / "runs.db")
    return report


def run(task: Task) -> list[Report]:
    """Record a run, then write it again in both ways."""
    recording = Recording()
    connections: list[Any] = []
    hooks: list[Callable[[Any], None]] = [recording.watch, connections.append]
    apsw.connection_hooks.extend(hooks)
    recorded = anyio.run(ours.repetition, replace(task, cap=None), connections, recording.begin, recording.end)
    for hook in hooks:
        apsw.connection_hooks.remove(hook)
    if not recorded.verified:
        raise SystemExit(f"the recorded run is wrong: {recorded.extra}")
    batches = recording.transactions()
    ways = {"limit-batches": batches, "limit-commits": split(batches, task.workload.planned_steps)}
    # In any order: the first one may meet what the recorded run has left for the disk to do.
    return [measure(task, name, recording, ways[name]) for name in random.sample(sorted(ways), k=len(ways))]


if __name__ == "__main__":
    main("limit", run)
