"""What doors ask."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.store.rows import Event, RunQuery, RunRow, StepRow, TimerRow
from agentflow.store.slot_rows import SlotWait
from agentflow.store.sqlite.queries import run_where
from agentflow.store.sqlite.queueing import waits_of
from agentflow.store.sqlite.readable import Readable, key_of
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
from agentflow.store.sqlite.sql import number, one, rows
from agentflow.store.sqlite.timers import timers_due
from agentflow.store.sqlite.used import of_tree, sums
from agentflow.store.usage_rows import UsageQuery, UsageSum, UsageView

if TYPE_CHECKING:
    from agentflow.store.contract import Agents, Holders
    from agentflow.store.loaded import LoadedTree


class Reads:
    """Lists, logs, results."""

    _source: Readable

    async def list_runs(self, query: RunQuery) -> list[RunRow]:
        """Return runs, newest first."""
        where, args = run_where(query)
        with self._source.faults:
            return run_rows(
                self._source.reader, f"{where} ORDER BY h.created_at DESC, h.key DESC LIMIT ?", (*args, query.limit)
            )

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        with self._source.faults:
            found = run_rows(self._source.reader, "WHERE r.ending = ?", (run_id[::-1],))
        return found[0] if found else None

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        with self._source.faults:
            key = key_of(self._source.reader, run_id)
            return None if key is None else step_at(self._source.reader, key, address)

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion."""
        with self._source.faults:
            key = key_of(self._source.reader, run_id)
            return [] if key is None else step_rows(self._source.reader, key)

    async def count_runs(self, query: RunQuery) -> int:
        """Count them; the limit doesn't apply."""
        where, args = run_where(query)
        with self._source.faults:
            return number(self._source.reader, f"SELECT count(*) FROM heads h {where}", args)  # noqa: S608  constants

    async def events(self, run_id: str, after: int = 0, limit: int = 1000, tree: bool = False) -> list[Event]:
        """Return events of a run after a `seq`, or of its tree after a `pos`."""
        with self._source.faults:
            run = key_of(self._source.reader, run_id)
            if run is None:
                return []
            if tree:
                where = "WHERE e.run IN (SELECT value FROM json_each(?)) AND e.pos > ? ORDER BY e.pos LIMIT ?"
                members = listed(tree_keys(self._source.reader, run))
                found = rows(self._source.reader, f"{EVENT} {where}", (members, after, limit))
            else:
                where = "WHERE e.run = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
                found = rows(self._source.reader, f"{EVENT} {where}", (run, after, limit))
        return [event(values) for values in found]

    async def all_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return events of all runs after a `pos`, in commit order."""
        with self._source.faults:
            found = rows(self._source.reader, f"{EVENT} WHERE e.pos > ? ORDER BY e.pos LIMIT ?", (after, limit))
        return [event(values) for values in found]

    async def slot_waits(self, root: int) -> list[SlotWait]:
        """Return which steps of a tree wait for a slot of a key, and who holds those."""
        with self._source.faults:
            return waits_of(self._source.reader, root)

    async def usage(self, root: int) -> list[UsageView]:
        """Return what the attempts of a tree have used."""
        with self._source.faults:
            return of_tree(self._source.reader, root)

    async def usage_sums(self, query: UsageQuery) -> list[UsageSum]:
        """Return sums of what was used."""
        with self._source.faults:
            return sums(self._source.reader, query)

    async def result(self, run: int, n: int) -> bytes | None:
        """Return one step's result."""
        with self._source.faults:
            return step_result(self._source.reader, run, n)

    async def salvage_steps(self, run_id: str) -> tuple[list[StepRow], frozenset[int]]:
        """Return the steps of a run without damaged results, and the numbers of the steps that have these."""
        lost: set[tuple[int, int]] = set()
        with self._source.faults:
            key = key_of(self._source.reader, run_id)
            found = [] if key is None else step_rows(self._source.reader, key, lost)
        return found, frozenset(n for _, n in lost)

    async def salvage_tree(self, root: int) -> LoadedTree | None:
        """Load a tree without its damaged results."""
        lost: set[tuple[int, int]] = set()
        db = self._source.reader
        with self._source.faults, db:
            tree = load_tree(db, root, lost)
            return None if tree is None else replace(tree, damaged=frozenset(lost))

    async def get_definition(self, digest: str) -> bytes | None:
        """Return a definition, or None."""
        with self._source.faults:
            found = one(self._source.reader, "SELECT body FROM definitions WHERE digest = ?", (digest,))
        return found[0] if found else None

    async def due(
        self,
        now: float,
        roots: Collection[int] | None = None,
        holders: Holders = None,
        limit: int = 500,
        agents: Agents = None,
    ) -> list[tuple[int, TimerRow]]:
        """Return (root, timer) for timers that are due, earliest first."""
        with self._source.faults:
            return timers_due(self._source.reader, now, roots, holders, agents, limit)
