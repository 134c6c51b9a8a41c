"""What doors ask, and what purging deletes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio.lowlevel

from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import Event, RunQuery, RunRow, StepRow
from agentflow.store.slot_rows import SlotWait
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.queries import delete_runs, forget_published, purgeable, run_where, thin_out
from agentflow.store.sqlite.queueing import waits_of
from agentflow.store.sqlite.rows import (
    EVENT,
    event,
    listed,
    load_tree,
    run_rows,
    step_at,
    step_result,
    step_rows,
    tree_keys,
)
from agentflow.store.sqlite.sql import number, rows
from agentflow.store.sqlite.used import of_tree, sums
from agentflow.store.usage_rows import UsageQuery, UsageSum, UsageView
from agentflow.store.views import PurgeQuery

_ROOM = 2000
"""Rows that one transaction deletes: commits of others go between, and the event loop isn't held up."""


class Reads:
    """Lists, logs, results."""

    _database: Database

    async def list_runs(self, query: RunQuery) -> list[RunRow]:
        """Return runs, newest first."""
        where, args = run_where(query)
        with self._database.faults:
            return run_rows(
                self._database.reader, f"{where} ORDER BY h.created_at DESC, h.key DESC LIMIT ?", (*args, query.limit)
            )

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        with self._database.faults:
            found = run_rows(self._database.reader, "WHERE r.ending = ?", (run_id[::-1],))
        return found[0] if found else None

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        with self._database.faults:
            key = self._database.key(run_id)
            return None if key is None else step_at(self._database.reader, key, address)

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion."""
        with self._database.faults:
            key = self._database.key(run_id)
            return [] if key is None else step_rows(self._database.reader, key)

    async def count_runs(self, query: RunQuery) -> int:
        """Count them; the limit doesn't apply."""
        where, args = run_where(query)
        with self._database.faults:
            return number(self._database.reader, f"SELECT count(*) FROM heads h {where}", args)  # noqa: S608  constants

    async def events(self, run_id: str, after: int = 0, limit: int = 1000, tree: bool = False) -> list[Event]:
        """Return events of a run after a `seq`, or of its tree after a `pos`."""
        with self._database.faults:
            run = self._database.key(run_id)
            if run is None:
                return []
            if tree:
                where = "WHERE e.run IN (SELECT value FROM json_each(?)) AND e.pos > ? ORDER BY e.pos LIMIT ?"
                members = listed(tree_keys(self._database.reader, run))
                found = rows(self._database.reader, f"{EVENT} {where}", (members, after, limit))
            else:
                where = "WHERE e.run = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
                found = rows(self._database.reader, f"{EVENT} {where}", (run, after, limit))
        return [event(values) for values in found]

    async def all_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return events of all runs after a `pos`, in commit order."""
        with self._database.faults:
            found = rows(self._database.reader, f"{EVENT} WHERE e.pos > ? ORDER BY e.pos LIMIT ?", (after, limit))
        return [event(values) for values in found]

    async def slot_waits(self, root: int) -> list[SlotWait]:
        """Return which steps of a tree wait for a slot of a key, and who holds those."""
        with self._database.faults:
            return waits_of(self._database.reader, root)

    async def usage(self, root: int) -> list[UsageView]:
        """Return what the attempts of a tree have used."""
        with self._database.faults:
            return of_tree(self._database.reader, root)

    async def usage_sums(self, query: UsageQuery) -> list[UsageSum]:
        """Return sums of what was used."""
        with self._database.faults:
            return sums(self._database.reader, query)

    async def result(self, run: int, n: int) -> bytes | None:
        """Return one step's result."""
        with self._database.faults:
            return step_result(self._database.reader, run, n)

    async def salvage_steps(self, run_id: str) -> tuple[list[StepRow], frozenset[int]]:
        """Return the steps of a run without damaged results, and the numbers of the steps that have these."""
        lost: set[tuple[int, int]] = set()
        with self._database.faults:
            key = self._database.key(run_id)
            found = [] if key is None else step_rows(self._database.reader, key, lost)
        return found, frozenset(n for _, n in lost)

    async def salvage_tree(self, root: int) -> LoadedTree | None:
        """Load a tree without its damaged results."""
        lost: set[tuple[int, int]] = set()
        db = self._database.reader
        with self._database.faults, db:
            tree = load_tree(db, root, lost)
            return None if tree is None else replace(tree, damaged=frozenset(lost))

    async def purge(self, query: PurgeQuery, limit: int = 500) -> int:
        """Delete one batch of ended root runs that needn't be kept."""
        db = self._database.writer.db

        def work(_: Batch, most: int) -> tuple[int, bool]:
            gone, room = 0, _ROOM
            for root in purgeable(db, query, min(most, _ROOM // 20)):
                tree = tree_keys(db, root)
                # Of a large run first the bulk goes, a part at a time, then what makes it a run.
                room = thin_out(db, tree, room)
                if room <= 0:
                    return gone, True
                delete_runs(db, tree)
                gone += 1
            return gone, gone > 0

        gone, more = 0, True
        while more and gone < limit:
            count, more = await self._database.write(partial(work, most=limit - gone))
            gone += count
            await anyio.lowlevel.checkpoint()

        if query.age is not None and query.events and query.principal.sees_all:
            oldest = query.now - query.age

            def forget(_: Batch) -> None:
                forget_published(db, oldest)

            await self._database.write(forget)
        return gone
