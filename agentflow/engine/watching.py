"""Who waits for changes of runs: woken by commits of this process, and by a look for those of others."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager

import anyio

from agentflow.store.contract import Store
from agentflow.store.rows import (
    RunChange,
)

LOOK = 0.25
"""Seconds between two looks, where other processes may commit."""


class Watcher:
    """One who waits for changes of a run. Nothing that happens after it was made is missed."""

    __slots__ = ("_store", "_watching", "event")

    def __init__(self, watching: Watching, store: Store) -> None:
        """Made by `Watching`."""
        self.event = anyio.Event()
        self._watching = watching
        self._store = store

    async def next(self) -> None:
        """Return after the next change; where other processes may commit, look for theirs now and then."""
        if not self._watching.polls:
            await self.event.wait()
        while not self.event.is_set():
            with anyio.move_on_after(LOOK):
                await self.event.wait()
            if not self.event.is_set() and self._store.changed():
                self._watching.everybody()
        self.event = anyio.Event()


class Watching:
    """Wakes those who watch runs."""

    def __init__(self, store: Store, *, polls: bool) -> None:
        """Watch nothing yet.

        Args:
            store: where the runs are.
            polls: watchers look for commits of other processes themselves, as no host of this process does. Who asks
                the store for changes is told of them once: a host must be the only one to ask.
        """
        self._store = store
        self.polls = polls
        self._states: dict[int, list[Watcher]] = {}
        self._events: dict[int, list[Watcher]] = {}

    def committed(self, changes: Sequence[RunChange]) -> None:
        """Wake those who watch runs that a commit changed."""
        if not self._states and not self._events:
            return
        for change in changes:
            if change.inbox_done or (change.patch is not None and change.patch.state is not None):
                self._wake(self._states, change.run)
            if self._events and change.events:
                self._wake(self._events, change.run)
                if change.root != change.run:
                    self._wake(self._events, change.root)

    def everybody(self) -> None:
        """Wake everybody: another process has committed something."""
        for table in (self._states, self._events):
            for key in list(table):
                self._wake(table, key)

    @staticmethod
    def _wake(table: dict[int, list[Watcher]], run: int) -> None:
        for watcher in table.get(run, ()):
            watcher.event.set()

    def states(self, run: int) -> AbstractContextManager[Watcher]:
        """Watch a run's state, and the commands that are carried out in it."""
        return self._watch(self._states, run)

    def events(self, run: int) -> AbstractContextManager[Watcher]:
        """Watch a run's events, and those of the runs below it."""
        return self._watch(self._events, run)

    @contextmanager
    def _watch(self, table: dict[int, list[Watcher]], run: int) -> Generator[Watcher]:
        watcher = Watcher(self, self._store)
        table.setdefault(run, []).append(watcher)
        try:
            yield watcher
        finally:
            table[run].remove(watcher)
            if not table[run]:
                del table[run]
