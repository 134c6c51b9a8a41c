"""Who waits for changes of runs: woken by commits of this process, and by a look for those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from agentflow.engine.host.signals import Signals
from agentflow.engine.host.stored import stored_row
from agentflow.engine.plan.state import RunState
from agentflow.store.contract import Store
from agentflow.store.liveness import Changes
from agentflow.store.rows import RunChange, RunRow

LOOK = 0.25
"""Seconds between two looks, where other processes may commit."""


class Watcher:
    """One who waits for changes of a run, as a context. Nothing that happens after its entry is missed."""

    __slots__ = ("_changed", "_event", "_row", "_run", "_store", "_table", "_watching")

    def __init__(self, watching: Watching, store: Store, table: dict[int, list[Watcher]], run: int) -> None:
        """Made by `Watching`."""
        self._changed = False
        self._event: anyio.Event | None = None
        self._row: RunRow | None = None
        self._watching = watching
        self._store = store
        self._table = table
        self._run = run

    def __enter__(self) -> Watcher:
        """Begin to watch."""
        self._table.setdefault(self._run, []).append(self)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        watchers = self._table[self._run]
        watchers.remove(self)
        if not watchers:
            del self._table[self._run]

    async def next(self) -> RunRow | None:
        """Return after the next change; where other processes may commit, look for theirs now and then.

        Returns:
            The run's row, where the change tells it: of an end that this process has committed.
        """
        while not self._changed:
            event = self._event = self._watching.signals.new()
            changes = self._watching.changes
            if changes is None:
                await event.wait()
                continue
            with anyio.move_on_after(LOOK):
                await event.wait()
            if not self._changed and await changes.look():
                self._watching.everybody()
        self._changed = False
        return self._row

    def tell(self, row: RunRow | None) -> None:
        """Tell it of a change, and of the run's row where that is known."""
        self._changed, self._row = True, row
        if self._event is not None:
            self._event.set()


class Watching:
    """Wakes those who watch runs."""

    def __init__(self, store: Store, signals: Signals, changes: Changes | None) -> None:
        """Watch nothing yet.

        Args:
            store: where the runs are.
            signals: makes events.
            changes: tells of commits of other processes, where watchers look for them themselves as no host of this
                process does.
        """
        self._store = store
        self.signals = signals
        self.changes = changes
        self.version = 0
        """Another one after each commit that is heard of: what was read before it may say less than there is."""
        self._states: dict[int, list[Watcher]] = {}
        self._events: dict[int, list[Watcher]] = {}

    def committed(self, changes: Sequence[RunChange], ended: Mapping[int, RunState]) -> None:
        """Wake those who watch runs that a commit changed; `ended` are those that have come to their end by it."""
        self.version += 1
        if not self._states and not self._events:
            return
        for change in changes:
            if change.run in self._states and (change.inbox_done or (change.patch and change.patch.state)):
                run = ended.get(change.run)
                self._wake(self._states, change.run, self._row(run) if run is not None else None)
            if change.inbox_done and change.root != change.run:  # a root isn't at rest while its tree has commands
                self._wake(self._states, change.root)
            if self._events and change.events:
                self._wake(self._events, change.run)
                if change.root != change.run:
                    self._wake(self._events, change.root)

    def everybody(self) -> None:
        """Wake everybody: another process has committed something."""
        self.version += 1
        for table in (self._states, self._events):
            for key in list(table):
                self._wake(table, key)

    def _row(self, run: RunState) -> RunRow | None:
        return stored_row(run, None if run.tree.root.ended else self._store.holder)

    @staticmethod
    def _wake(table: dict[int, list[Watcher]], run: int, row: RunRow | None = None) -> None:
        for watcher in table.get(run, ()):
            watcher.tell(row)

    def states(self, run: int) -> Watcher:
        """Watch a run's state, and the commands that are carried out in it."""
        return Watcher(self, self._store, self._states, run)

    def events(self, run: int) -> Watcher:
        """Watch a run's events, and those of the runs below it."""
        return Watcher(self, self._store, self._events, run)
