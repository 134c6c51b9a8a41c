"""Receivers of tasks' changes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import apsw

from agentflow.store.outbox import Push, PushQuery
from agentflow.store.sqlite.readable import Readable
from agentflow.store.sqlite.rows import listed, task_place
from agentflow.store.sqlite.sql import do, number, one, rows

if TYPE_CHECKING:
    from agentflow.store.sqlite.database import Database

# ruff: noqa: S608  the only text put in is constants

T = TypeVar("T")

_COLUMNS = (
    "task_id, id, tenant, owner, agent, place, sealed, generation, created_at, due, state, tries, error, key, run"
)
_PUSH = f"SELECT {_COLUMNS} FROM pushes p"
_NEWER = """
EXISTS (SELECT 1 FROM events e
  WHERE e.run = p.run AND e.task IS p.task AND e.generation > p.generation AND e.generation IS NOT NULL)
"""
_OF = "p.state = 'active' AND p.agent IN (SELECT value FROM json_each(?1))"
_FREE = "(p.holder IS NULL OR p.holder IN (SELECT value FROM json_each(?2)))"
_WAITING = f"""
{_PUSH} WHERE {_OF} AND {_FREE}
  AND CASE WHEN p.due IS NULL THEN p.holder IS NOT NULL OR {_NEWER} ELSE p.due <= ?3 END
"""
_OF_RUNS = " AND p.run IN (SELECT value FROM json_each(?5))"
_EARLIEST = " ORDER BY p.due, p.key LIMIT ?4"
_PUT = """
INSERT INTO pushes
  (run, task, task_id, id, tenant, owner, agent, place, sealed, generation, created_at, due, state, tries, error)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'active', 0, NULL)
ON CONFLICT (task_id, tenant, owner, id) DO UPDATE SET
  place = ?8, sealed = ?9, due = ?12, state = 'active', tries = 0, error = NULL, holder = NULL
RETURNING key
"""
_SETTLE = f"""
UPDATE pushes AS p SET generation = ?1, state = ?2, tries = ?3, error = ?5, sealed = ?6, holder = ?9,
  due = CASE WHEN ?4 IS NULL AND ?2 = 'active' AND ?9 IS NULL AND {_NEWER.replace("p.generation", "?1")} THEN 0
    ELSE ?4 END
WHERE key = ?7 AND holder = ?8
"""


class SqliteReceivers:
    """What gets changes of tasks, as a process sees it that may only look."""

    def __init__(self, source: Readable) -> None:
        """Made over a connection that reads."""
        self._source = source

    async def pushes(self, query: PushQuery) -> list[Push]:
        """Return receivers, oldest first."""
        where, values = _where(query)
        found = self._read(f"{_PUSH} WHERE {where} ORDER BY key LIMIT ?", (*values, query.limit))
        return [Push._make(each) for each in found]

    def _read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._source.faults:
            return rows(self._source.reader, query, values)


class SqliteOutbox(SqliteReceivers):
    """The outbox of one database."""

    def __init__(self, database: Database) -> None:
        """Made over an open database."""
        super().__init__(database)
        self._database = database

    async def put(self, push: Push) -> Push | None:
        """Keep a receiver, or replace the one with its id; None: there is no such task."""

        def work(db: apsw.Connection) -> Push | None:
            run, task = task_place(db, push.task_id)
            if not run:
                return None
            values = (run, task, *push[:10])
            key = number(db, _PUT, values)
            found = one(db, f"{_PUSH} WHERE key = ?", (key,))
            return Push._make(found) if found else None

        return await self._write(work)

    async def drop(self, keys: Collection[int]) -> None:
        """Forget receivers."""
        await self._write(
            lambda db: do(db, "DELETE FROM pushes WHERE key IN (SELECT value FROM json_each(?))", (listed(keys),))
        )

    async def revive(self, query: PushQuery, at: float) -> list[Push]:
        """Let receivers that have failed be tried anew."""
        where, values = _where(query)
        again = f"UPDATE pushes AS p SET state = 'active', tries = 0, due = ? WHERE p.state = 'failed' AND {where}"
        return await self._write(
            lambda db: [Push._make(each) for each in rows(db, f"{again} RETURNING {_COLUMNS}", (at, *values))]
        )

    async def runs(self, agents: Collection[str]) -> dict[int, int]:
        """Return the keys of runs whose changes are sent to somebody, and to how many."""
        return dict(self._read(f"SELECT p.run, count(*) FROM pushes p WHERE {_OF} GROUP BY p.run", (listed(agents),)))

    async def waiting(
        self, now: float, agents: Collection[str], dead: Collection[str], runs: Collection[int] | None, limit: int = 500
    ) -> list[Push]:
        """Return active receivers that nobody living sends to, and that have something to get now, earliest first."""
        values = (listed(agents), listed({*dead, self._database.holder}), now, limit)
        if runs is None:
            found = self._read(_WAITING + _EARLIEST, values)
        else:
            found = self._read(_WAITING + _OF_RUNS + _EARLIEST, (*values, listed(runs)))
        return [Push._make(each) for each in found]

    async def next_push(self, agents: Collection[str]) -> float | None:
        """Return when the earliest of the active receivers that nobody sends to is due again."""
        found = self._read(f"SELECT min(p.due) FROM pushes p WHERE {_OF} AND p.holder IS NULL", (listed(agents),))
        return found[0][0]

    async def senders(self, agents: Collection[str]) -> set[str]:
        """Return the hosts that have claimed receivers."""
        found = self._read(
            f"SELECT DISTINCT p.holder FROM pushes p WHERE {_OF} AND p.holder IS NOT NULL", (listed(agents),)
        )
        return {name for (name,) in found}

    async def claim(self, keys: Collection[int], dead: Collection[str]) -> list[Push]:
        """Take receivers to send to; returns those that were to be had."""
        holder = self._database.holder
        values = (listed(keys), listed({*dead, holder}), holder)
        take = f"""
            UPDATE pushes AS p SET holder = ?3
            WHERE p.key IN (SELECT value FROM json_each(?1)) AND p.state = 'active' AND {_FREE} RETURNING {_COLUMNS}
        """
        return await self._write(lambda db: [Push._make(each) for each in rows(db, take, values)])

    async def settle(self, push: Push, *, release: bool) -> bool:
        """Keep how far a claimed receiver has got."""
        holder = self._database.holder
        kept = (push.generation, push.state, push.tries, push.due, push.error, push.sealed, push.key, holder)
        values = (*kept, None if release else holder)
        return await self._write(lambda db: bool(rows(db, f"{_SETTLE} RETURNING key", values)))

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        writer = self._database.writer
        return await writer.transact(work, writer.db)


def _where(query: PushQuery) -> tuple[str, tuple[Any, ...]]:
    parts, values = ["p.key > ?"], list[Any]([query.after])
    if query.task_id is not None:
        parts.append("p.task_id = ?")
        values.append(query.task_id)
    if query.id is not None:
        parts.append("p.id = ?")
        values.append(query.id)
    if query.states:
        parts.append("p.state IN (SELECT value FROM json_each(?))")
        values.append(listed(query.states))
    if not query.principal.sees_all:
        parts.append("p.tenant = ? AND p.owner = ?")
        values += [query.principal.tenant, query.principal.owner]
    return " AND ".join(parts), tuple(values)
