"""The floors of `parked.py`: rows committed by bare SQL, with the settings and the log of a strict store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from agentflow.store.sqlite import statements as sql
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.sql import do, do_many, number, one, rows

AT = 1.7e9
RESULT = b'{"approve":true,"note":"looks good"}'


class RawCommits:
    """A database of the store's schema, and timed commits in it."""

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        """Take over a connection."""
        self.one_step: list[float] = []
        """Seconds of the commits of one step's rows."""
        self.all_rows: list[float] = []
        """Seconds of the commits of all rows that an answered wait and the next step's start write."""
        self._db = db
        self._path = path
        self._pos = number(db, "SELECT max(pos) FROM events")
        if number(db, "PRAGMA synchronous") != 2 or one(db, "PRAGMA journal_mode") != ("wal",):
            raise SystemExit("the raw commits aren't strict")

    @classmethod
    async def open(cls, source: Path, path: Path) -> RawCommits:
        """Copy a database that nobody writes to."""
        shutil.copyfile(source, path)
        opener = InFile(path, "strict")
        db, reader = await opener.open()
        reader.close()
        opener.begin_commits(db)
        return cls(db, path)

    def commit(self, run_id: str) -> None:
        """Commit what a step's end and the next one's start write; then all that an answer to this run's wait does."""
        (run,) = rows(self._db, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))[0]
        (task,) = rows(self._db, "SELECT ending FROM tasks WHERE run = ?", (run,))[0]
        self.one_step.append(self._timed(self._step))
        self.all_rows.append(self._timed(lambda: self._answer(run, task)))

    def _timed(self, work: Callable[[], None]) -> float:
        started = time.perf_counter()
        do(self._db, "BEGIN IMMEDIATE")
        work()
        do(self._db, "COMMIT")
        return time.perf_counter() - started

    def _step(self) -> None:
        """Two step rows and two events, at the end of their tables as in a run that goes on."""
        steps = [_step_row(1 << 62 | self._pos + n, n) for n in (0, 1)]
        do_many(self._db, sql.UPSERT_STEP, steps)
        do_many(self._db, sql.NEW_EVENT, self._events(1 << 30, 2))

    def _answer(self, run: int, task: str) -> None:
        """The wait's task, its step and the next one, the events, the run's state and its holder."""
        do(self._db, sql.ANSWER_TASK, ("completed", RESULT, "local", "api", None, AT, AT, 2, task))
        do_many(self._db, sql.UPSERT_STEP, [_step_row(run << 32 | n, n) for n in (0, 1)])
        do_many(self._db, sql.NEW_EVENT, self._events(run, 4))
        do_many(self._db, sql.UPDATE_HEAD, [(9, 2, 1, AT, run)])
        nothing = (None,) * 9
        do_many(self._db, sql.PATCH_STATE, [(*nothing[:8], True, None, None, "working", None, None, run)])
        do_many(self._db, sql.TAKE, [("0123456789abcdefghjkmnpqrs", 2, run)])

    def _events(self, run: int, count: int) -> list[tuple[object, ...]]:
        first = self._pos + 1
        self._pos += count
        data = b'{"attempt":1}'
        return [(n, run, n, None, 1, "step_completed", "next", data, AT) for n in range(first, first + count)]

    def close(self) -> None:
        """Close the database and remove it."""
        self._db.close()
        self._path.unlink()


def _step_row(key: int, n: int) -> tuple[object, ...]:
    result = RESULT if n == 0 else None
    return (key, 3 + n, "next", "working", None, "run", 1, 1, 0, 0, None, AT, AT, None, None, 0, result, 0)
