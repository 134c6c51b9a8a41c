"""Looking for damage: what the file's structure, the stored hashes and the rows' relations tell, by run and step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import apsw

from agentflow.data import digest, is_readable
from agentflow.store.findings import Finding, Report
from agentflow.store.sqlite.care.exclusive import inspected
from agentflow.store.sqlite.file.log import size_of
from agentflow.store.sqlite.rows import is_sound, leaving
from agentflow.store.sqlite.sql import number, rows, until_error
from agentflow.store.sqlite.statements import OF_RUN

# ruff: noqa: S608  the only texts put in are constants

T = TypeVar("T")

_SLICE = 500
"""Rows that are read in one go: no snapshot is kept for long."""
_NUMBER = 0xFFFFFFFF
_QUEUES = 4
"""Schema from which on slots are asked for by the commits that claim: older ones may have some without a step."""
_RESTORE = "Restore a backup: agentflow store restore FILE"
_REBUILD = "The data isn't touched by that. Make the indexes anew: agentflow store vacuum --full, then check again"
_RECOVER = "what can be read of this one: sqlite3 {} .recover"
_BESIDE = ("A page of index ", "The index ", "The map ")
"""How findings begin that leave the data alone."""
_JSON = (
    ("runs", "key", ("input", "labels", "pins")),
    ("heads", "key", ("error", "memo", "output")),
    ("tasks", "run", ("schema", "details", "answer")),
    ("shared", "run", ("value",)),
    ("artifacts", "run", ("data",)),
    ("messages", "run", ("data",)),
    ("context", "run", ("data",)),
    ("events", "run", ("data",)),
    ("steps", "key >> 32", ("error", "memo")),
)
"""Table, its column with the run, its columns with JSON."""


async def look_over(path: Path) -> Report:
    """Check a store; see `agentflow.store.care.check`."""
    report = Report(str(path))
    with inspected(path) as (db, schema, fault):
        report.schema = schema
        if fault:
            report.findings.append(
                Finding(
                    f"The write-ahead log is damaged: its last commits can't be read. {fault}",
                    f"{_RESTORE}, or go on with what can be read: agentflow store vacuum --full",
                )
            )
        checker = _Checker(db, report)
        for part in checker.parts():
            await anyio.to_thread.run_sync(part)
    return report


class _Checker:
    """Looks at one database, part by part."""

    def __init__(self, db: apsw.Connection, report: Report) -> None:
        self._db = db
        self._report = report
        self._ids = dict[int, str]()
        self._broken = False
        """Whether the structure of the file is damaged, so that reading rows may fail."""
        self._beside = True
        """Whether that is beside the data: in indexes and the like."""
        self._of_run: Sequence[str] = OF_RUN
        """Tables with rows of runs; a store of an older version lacks some."""

    def parts(self) -> Iterator[Callable[[], None]]:
        """Return the parts of the look, to be called in this order."""
        yield self._structure
        yield self._sizes
        yield self._names
        yield self._results
        yield self._relations
        yield self._definitions
        yield self._json
        yield self._count

    def _find(self, message: str, hint: str, run: int | None = None, **place: Any) -> None:
        name = None if run is None else self._ids.get(run, f"key {run}")
        self._report.findings.append(Finding(message, hint, name, **place))

    def _try(self, read: Callable[[], T], nothing: T) -> T:
        """Read something; where the file is damaged there, return nothing: the structure's findings tell it."""
        try:
            return read()
        except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.SQLError):
            if not self._broken:
                raise
            return nothing

    def _sizes(self) -> None:
        path = Path(self._report.path)
        self._report.bytes = path.stat().st_size + size_of(path)
        pages = self._try(partial(number, self._db, "PRAGMA freelist_count"), 0)
        self._report.free = pages * self._try(partial(number, self._db, "PRAGMA page_size"), 0)

    def _structure(self) -> None:
        lines, error = until_error(self._db, "PRAGMA integrity_check(100)")
        schema, _ = until_error(self._db, "SELECT rootpage, name, tbl_name FROM sqlite_master")
        names = {root: f"table {name}" if name == table else f"index {name}" for root, name, table in schema}
        if schema:
            there = {name for _, name, _ in schema}
            self._of_run = [table for table in OF_RUN if table in there]
        told = dict[tuple[str, int | None], None]()
        for line in "\n".join(str(values[0]) for values in lines).splitlines():
            if line != "ok" and not line.startswith("***"):
                told[_explained(line, names)] = None
        if error is not None and not told:
            told[f"The file can't be read: {error}.", None] = None
        self._broken = bool(told)
        # An index that doesn't fit follows from a page that is lost.
        pages = [place for place in told if place[0].startswith("A page of")]
        self._beside = all(message.startswith(_BESIDE) for message, _ in told)
        hint = _REBUILD if self._beside else f"{_RESTORE}; {_RECOVER.format(self._report.path)}"
        for message, page in pages or told:
            self._find(message, hint, page=page)

    def _names(self) -> None:
        """Learn the ids of runs: from the index as well, as a damaged page of one spares the other."""
        for sql in (
            "SELECT key, ending FROM runs INDEXED BY runs_ending",
            "SELECT key, ending FROM runs NOT INDEXED",
        ):
            for key, ending in self._try(partial(rows, self._db, sql), []):
                self._ids[key] = str(ending)[::-1]
        for (key,) in self._try(partial(rows, self._db, "SELECT key FROM heads"), []):
            self._ids.setdefault(key, f"key {key}")

    def _results(self) -> None:
        """Compare every result with its hash, run by run where some can't be read."""
        if self._beside:
            self._hashes(0, 1 << 62)
            return
        for run in sorted(self._ids):
            lost = [table for table in ("heads", "runs", "steps", *self._of_run) if not self._readable(table, run)]
            if lost:
                self._find(
                    f"Rows of it can't be read: {', '.join(lost)}.",
                    _RESTORE if "heads" in lost or "runs" in lost else f"{_RESTORE}, or start it anew",
                    run,
                )
            if "steps" not in lost:
                self._hashes(run << 32, run << 32 | _NUMBER)

    def _readable(self, table: str, run: int) -> bool:
        where = "key BETWEEN ?1 << 32 AND ?1 << 32 | 4294967295" if table == "steps" else "run = ?1"
        where = "key = ?1" if table in ("heads", "runs") else where
        try:
            found = rows(self._db, f"SELECT * FROM {table} WHERE {where}", (run,))
        except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.SQLError):
            return False
        return bool(found) or table not in ("heads", "runs")

    def _hashes(self, low: int, high: int) -> None:
        sql = "SELECT key, address, hash, result FROM steps WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"
        while found := self._try(partial(rows, self._db, sql, (low, high, _SLICE)), []):
            for key, address, hash_, result in found:
                if result is None:
                    continue
                self._report.results += 1
                run, n = key >> 32, key & _NUMBER
                if not is_sound(result, n, hash_):
                    hint = f"{_RESTORE}, or {leaving(self._db, run)}"
                    self._find("Its stored result is damaged.", hint, run, step=address)
                elif not is_readable(result):
                    what = "Its stored result can't be read: an older version has kept what isn't data."
                    self._find(what, leaving(self._db, run), run, step=address)
            low = found[-1][0] + 1

    def _relations(self) -> None:
        """Find rows that belong to nothing, and runs that lack a part; a damaged index would make some up."""
        if self._broken and self._beside:
            return
        both = "SELECT key FROM heads UNION SELECT key FROM runs"
        for run in self._runs(f"{both} EXCEPT SELECT h.key FROM heads h JOIN runs r ON r.key = h.key"):
            self._find("A part of its own row is missing.", _RESTORE, run)
        lonely = "SELECT key FROM heads WHERE root NOT IN (SELECT key FROM heads)"
        for run in self._runs(f"{lonely} OR parent NOT IN (SELECT key FROM heads)"):
            self._find("The run that it belongs to is missing.", _RESTORE, run)
        for table in ("steps", *self._of_run):
            column = "key >> 32" if table == "steps" else "run"
            orphans = self._runs(f"SELECT DISTINCT {column} FROM {table} WHERE {column} NOT IN (SELECT key FROM heads)")
            for run in orphans:
                self._find(f"There are {table} of a run that isn't there.", _RESTORE, run)
        self._slots()
        gaps = (
            "SELECT h.key FROM heads h LEFT JOIN (SELECT run, count(*) n, max(seq) last FROM events GROUP BY run) e"
            " ON e.run = h.key WHERE h.seq > coalesce(e.last, 0) OR e.n <> e.last"
        )
        for run in self._runs(gaps):
            self._find("Events of it are missing.", f"{_RESTORE}; its steps and results aren't touched by that", run)

    def _slots(self) -> None:
        """Find slots of keys whose step isn't in progress: nobody would give them back before the run's end."""
        if "slots" not in self._of_run or self._report.schema < _QUEUES:
            return
        lost = (
            "SELECT s.run, s.key FROM slots s LEFT JOIN steps t ON t.key = s.run << 32 | s.n"
            " WHERE s.run IN (SELECT key FROM heads)"
            " AND (t.key IS NULL OR t.state IN ('completed', 'failed', 'canceled')) ORDER BY s.run, s.key"
        )
        for run, key in self._try(partial(rows, self._db, lost), []):
            what = f'It holds up others at the concurrency key "{key}", and no step of it needs that.'
            self._find(what, f"{_RESTORE}, or {leaving(self._db, run)}", run)

    def _runs(self, sql: str) -> list[int]:
        return [values[0] for values in self._try(partial(rows, self._db, sql), [])]

    def _definitions(self) -> None:
        broken = set[str]()
        for name, body in self._try(partial(rows, self._db, "SELECT digest, body FROM definitions NOT INDEXED"), []):
            if digest(body) != name:
                broken.add(name)
        open_runs = "SELECT key, definition FROM runs"
        known = {
            values[0] for values in self._try(partial(rows, self._db, "SELECT digest FROM definitions NOT INDEXED"), [])
        }
        for key, name in self._try(partial(rows, self._db, open_runs), []):
            if name in broken or (known and name not in known):
                what = "damaged" if name in broken else "missing"
                self._find(f"Its stored definition is {what}.", _RESTORE, key)

    def _json(self) -> None:
        for table, run, columns in _JSON:
            names = ", ".join(columns)
            last = -1
            key = "rowid" if table != "context" else "run"
            sql = f"SELECT {key}, {run}, {names} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT ?"
            while found := self._try(partial(rows, self._db, sql, (last, _SLICE)), []):
                for values in found:
                    for column, raw in zip(columns, values[2:], strict=True):
                        if raw and not _is_json(raw):
                            self._find(f"Its stored {column} ({table}) is damaged.", _RESTORE, values[1])
                last = found[-1][0]

    def _count(self) -> None:
        self._report.runs = self._try(partial(number, self._db, "SELECT count(*) FROM heads"), 0)
        self._report.steps = self._try(partial(number, self._db, "SELECT count(*) FROM steps"), 0)


def _is_json(raw: bytes | str) -> bool:
    return is_readable(raw if isinstance(raw, bytes) else raw.encode())


def _explained(line: str, names: dict[int, str]) -> tuple[str, int | None]:
    """Return what a line of SQLite's own check means, and the page it is about."""
    tree = re.search(r"[Tt]ree (\d+)", line)
    page = re.search(r"[Pp]age (\d+)", line)
    number_ = int(page[1]) if page else None
    if "ptrmap" in line or "ptr map" in line:
        return "The map of the file's pages is damaged.", None
    if tree:
        place = names.get(int(tree[1]), f"tree {tree[1]}")
        return f"A page of {place} is damaged.", number_
    if "missing from index" in line or "wrong # of entries in index" in line:
        return f"The index {line.rsplit(maxsplit=1)[-1]} doesn't fit its table.", None
    if "non-unique entry in index" in line:
        return f"There is an entry twice in index {line.rsplit(maxsplit=1)[-1]}.", None
    return f"The file's structure is damaged: {line}.", number_
