"""Timers, in dicts."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from agentflow.store.rows import TimerRow

TimerKey = tuple[int, int, str]


class Timers:
    """Timers in order of their due time."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: dict[TimerKey, tuple[float, int, TimerRow]] = {}
        self._order: list[tuple[float, int, TimerRow]] = []
        self._runs: dict[int, set[TimerKey]] = {}
        self._count = 0

    def add(self, row: TimerRow) -> None:
        """Add a timer; one of the same step and kind is replaced."""
        self.drop((row.run, row.n, row.kind))
        self._count += 1
        entry = (row.due, self._count, row)
        self._rows[row.run, row.n, row.kind] = entry
        self._runs.setdefault(row.run, set()).add((row.run, row.n, row.kind))
        insort(self._order, entry)

    def drop(self, key: TimerKey) -> None:
        """Forget a timer, if it is there."""
        entry = self._rows.pop(key, None)
        if entry is not None:
            del self._order[bisect_left(self._order, entry)]
            self._runs[key[0]].discard(key)

    def shift(self, run: int, seconds: float) -> None:
        """Move the due times of a run's timers."""
        for key in sorted(self._runs.get(run, ())):
            row = self._rows[key][2]
            self.add(row._replace(due=row.due + seconds))

    def drop_run(self, run: int) -> None:
        """Forget the timers of a run."""
        for key in sorted(self._runs.get(run, ())):
            self.drop(key)
        self._runs.pop(run, None)

    def __iter__(self) -> Iterator[TimerRow]:
        """Give the timers, earliest first."""
        return (entry[2] for entry in self._order)
