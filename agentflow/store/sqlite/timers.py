"""Timers in one transaction: of many changes of one timer, the last one is written."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from agentflow.store.rows import RunChange
from agentflow.store.sqlite import statements as sql


class Timers:
    """What becomes of the timers of runs."""

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
