"""Timers: what a transaction makes of them, and which ones are due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import apsw

from agentflow.store.rows import RunChange, TimerRow
from agentflow.store.sqlite import statements as sql
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import rows

if TYPE_CHECKING:
    from agentflow.store.contract import Agents, Holders

# ruff: noqa: S608  the only text put in is constants

_DUE = "SELECT d.root, d.due, d.run, d.n, d.kind, d.entry FROM timers d"
_OF_ALL = f"{_DUE} WHERE d.due <= ?1 ORDER BY d.due LIMIT ?2"
_OF_HOLDER = f"{_DUE} WHERE d.holder IS ?3 AND d.due <= ?1 ORDER BY d.due LIMIT ?2"
_OF_BOTH = f"{_DUE} WHERE d.holder IS ?3 AND d.agent = ?4 AND d.due <= ?1 ORDER BY d.due LIMIT ?2"
_OF_AGENTS = f"{_DUE} WHERE d.agent IN (SELECT value FROM json_each(?3)) AND d.due <= ?1 ORDER BY d.due LIMIT ?2"
# The roots are few: whoever names them finds their timers by the index of these.
_OF_ROOTS = f"""
{_DUE} WHERE d.root IN (SELECT value FROM json_each(?3)) AND d.due <= ?1
  AND (?4 IS NULL OR (?5 AND +d.holder IS NULL) OR +d.holder IN (SELECT value FROM json_each(?4)))
  AND (?6 IS NULL OR +d.agent IN (SELECT value FROM json_each(?6)))
ORDER BY d.due LIMIT ?2
"""


def timers_due(
    db: apsw.Connection, now: float, roots: Collection[int] | None, holders: Holders, agents: Agents, limit: int
) -> list[tuple[int, TimerRow]]:
    """Return (root, timer) for timers that are due, earliest first."""
    if roots is not None:
        found = rows(
            db,
            _OF_ROOTS,
            (
                now,
                limit,
                listed(roots),
                None if holders is None else listed(holders),
                None in (holders or ()),
                None if agents is None else listed(agents),
            ),
        )
    elif holders is None:
        found = (
            rows(db, _OF_ALL, (now, limit)) if agents is None else rows(db, _OF_AGENTS, (now, limit, listed(agents)))
        )
    elif agents is None:
        found = _merged(rows(db, _OF_HOLDER, (now, limit, holder)) for holder in {*holders})
    else:
        found = _merged(rows(db, _OF_BOTH, (now, limit, holder, agent)) for holder in {*holders} for agent in {*agents})
    return [(values[0], TimerRow(*values[1:])) for values in found[:limit]]


def _merged(found: Iterable[list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    return sorted((values for each in found for values in each), key=lambda values: values[1])


class Timers:
    """What becomes of the timers of runs in one transaction: of many changes of a timer, the last one is written."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        """Begin a transaction's work."""
        self._runs: dict[int, dict[tuple[int, str], tuple[Any, ...] | None]] = {}

    def take_in(self, change: RunChange, root: int) -> None:
        """Drop and set the timers that a change names."""
        timers = self._runs.setdefault(change.run, {})
        for n, kind in change.drop_timers:
            timers[n, kind] = None
        for row in change.timers:
            timers[row.n, row.kind] = (change.run, row.n, row.kind, root, row.due, row.entry)

    def forget(self, run: int) -> None:
        """Set none of a run: it has ended."""
        self._runs.pop(run, None)

    def write(self, batches: defaultdict[str, list[tuple[Any, ...]]]) -> None:
        """Add what is to be written to the batches of statements."""
        if not self._runs:  # most commits set none
            return
        for run, timers in self._runs.items():
            for (n, kind), row in timers.items():
                if row is None:
                    batches[sql.DROP_TIMER].append((run, n, kind))
                else:
                    batches[sql.SET_TIMER].append(row)
        self._runs.clear()
