"""Queues for the slots of keys, inside the transaction of a commit: who asks, who is given one, who gives it back."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import apsw

from agentflow.data import decode, encode
from agentflow.store.queues import Place, StepId, deadlocked
from agentflow.store.rows import RunChange, added
from agentflow.store.slot_rows import Grant, SlotRow, SlotWait
from agentflow.store.sqlite.queries import delete_runs
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import do, number, one, rows
from agentflow.store.sqlite.statements import NEW_COMMAND

_ASK = """
INSERT INTO slots (key, run, n, most, within, place)
VALUES (?1, ?2, ?3, ?4, ?5, CASE
  WHEN ?4 > (SELECT count(*) FROM slots WHERE key = ?1 AND place = 0)
    AND NOT EXISTS (SELECT 1 FROM slots WHERE key = ?1 AND place > 0) THEN 0
  ELSE (SELECT max(place) + 1 FROM slots WHERE key = ?1) END)
ON CONFLICT DO UPDATE SET key = key RETURNING place
"""
_GIVE = """
UPDATE slots SET place = 0
WHERE key = ?1 AND place > 0 AND place = (SELECT min(place) FROM slots WHERE key = ?1 AND place > 0)
  AND most > (SELECT count(*) FROM slots WHERE key = ?1 AND place = 0)
RETURNING run, n, (SELECT h.root FROM heads h WHERE h.key = slots.run),
  (SELECT t.holder FROM heads h JOIN heads t ON t.key = h.root WHERE h.key = slots.run)
"""
_HOLDERS_SHOWN = 3


class Queues:
    """What one transaction does to the queues.

    Who asks for a free slot has it at once; what is given back goes to who is next at the end, key by key.
    """

    def __init__(self, db: apsw.Connection, holder: str) -> None:
        """Begin; the transaction is open already."""
        self._db = db
        self._holder = holder
        self._keys: dict[str, RunChange | None] = {}
        """Keys of which slots have come free, and a change that is the reason."""
        self._nested: list[tuple[RunChange, SlotRow]] = []
        """Those who have come to wait, and stand inside of steps that hold slots."""

    def take_in(self, run: int, change: RunChange) -> None:
        """Take back what a change frees; give those who ask free slots, or places at the end of their queues."""
        for n in change.free:
            self._look_at(self._free(run, n), change)
        claims = {row.n: row for row in change.unclaimed}
        for row in change.slots:
            within = encode(row.within).decode() if row.within else None
            waits = number(self._db, _ASK, (row.key, run, row.n, row.limit, within)) > 0
            if waits and row.n in claims:
                change.queued = added(change.queued, claims[row.n])
            elif not waits and row.n not in claims:
                change.grants = added(change.grants, Grant(run, row.n, change.root, self._holder))
            if waits and row.within:
                self._nested.append((change, row))

    def free_runs(self, runs: Iterable[int], change: RunChange | None) -> None:
        """Take back all that some runs have."""
        for run in runs:
            found = rows(self._db, "DELETE FROM slots WHERE run = ? RETURNING key", (run,))
            self._look_at([key for (key,) in found], change)

    def delete(self, runs: Collection[int]) -> None:
        """Delete runs, whole trees of them; the slots that they have go to who is next."""
        self.free_runs(runs, None)
        delete_runs(self._db, runs)

    def give(self) -> None:
        """Give free slots to those who are next, and take those out of the queues who would wait for ever."""
        if not self._keys and not self._nested:  # most commits have nothing to do with slots
            return
        self._give()
        nested, self._nested = self._nested, []
        for change, row in nested:
            if (change.run, row.n) in self._stuck():
                self._look_at(self._free(change.run, row.n), change)
                change.deadlocked = added(change.deadlocked, row.n)
                self._give()

    def _free(self, run: int, n: int) -> list[str]:
        found = rows(self._db, "DELETE FROM slots WHERE run = ? AND n = ? RETURNING key", (run, n))
        return [key for (key,) in found]

    def _look_at(self, keys: Iterable[str], change: RunChange | None) -> None:
        for key in keys:
            self._keys.setdefault(key, change)

    def _give(self) -> None:
        for key, change in self._keys.items():
            while (found := one(self._db, _GIVE, (key,))) is not None:
                run, n, root, holder = found
                if change is None or holder != self._holder:  # it finds it among its commands, whoever takes the tree
                    do(self._db, NEW_COMMAND, (root, run, "slot", n, None, encode(key)))
                if change is not None:
                    change.grants = added(change.grants, Grant(run, n, root, holder))
        self._keys.clear()

    def _stuck(self) -> set[StepId]:
        found = rows(self._db, "SELECT key, run, n, most, place, within FROM slots")
        return deadlocked(
            Place(key, (run, n), most, place, [(a, b) for a, b in decode(within)] if within else ())
            for key, run, n, most, place, within in found
        )


def waits_of(db: apsw.Connection, root: int) -> list[SlotWait]:
    """Return what steps of a tree wait for."""
    waiting = rows(
        db,
        "SELECT s.run, s.n, s.key, s.most,"
        " (SELECT count(*) FROM slots b WHERE b.key = s.key AND b.place = 0),"
        " (SELECT count(*) FROM slots b WHERE b.key = s.key AND b.place > 0 AND b.place < s.place)"
        " FROM slots s WHERE s.place > 0 AND s.run IN (SELECT key FROM heads WHERE key = ?1 OR"
        " (root = ?1 AND parent IS NOT NULL)) ORDER BY s.run, s.n",
        (root,),
    )
    holders = {key: _holders(db, key) for key in {values[2] for values in waiting}}
    return [SlotWait(run, n, key, most, held, ahead, holders[key]) for run, n, key, most, held, ahead in waiting]


def _holders(db: apsw.Connection, key: str) -> list[tuple[str, str]]:
    found = rows(
        db,
        "SELECT r.id, p.address FROM slots s JOIN runs r ON r.key = s.run"
        " JOIN steps p ON p.key = s.run << 32 | s.n WHERE s.key = ? AND s.place = 0 ORDER BY s.run, s.n LIMIT ?",
        (key, _HOLDERS_SHOWN),
    )
    return [(run, address) for run, address in found]


def roots_holding(db: apsw.Connection, keys: Collection[str], dead: Collection[str]) -> list[tuple[int, str]]:
    """Return (root, agent) of trees of dead hosts in which a step has a slot of one of these keys."""
    found = rows(
        db,
        "SELECT DISTINCT t.key, t.agent FROM slots s JOIN heads h ON h.key = s.run JOIN heads t ON t.key = h.root"
        " WHERE s.key IN (SELECT value FROM json_each(?)) AND s.place = 0"
        " AND t.holder IN (SELECT value FROM json_each(?)) ORDER BY t.key",
        (listed(keys), listed(dead)),
    )
    return [(root, agent) for root, agent in found]
