"""Who waits for changes of runs: woken by commits of this process, and by a look for those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio

from agentflow.store.contract import Store
from agentflow.store.rows import (
    RunChange,
)

LOOK = 0.25
"""Seconds between two looks, where other processes may commit."""


class _Watcher:
    __slots__ = ("event", "root", "run")

    def __init__(self, run: int | None, root: int | None) -> None:
        self.event = anyio.Event()
        self.run = run
        self.root = root


class Watching:
    """Wakes those who watch runs."""

    def __init__(self, store: Store) -> None:
        """Watch nothing yet."""
        self._store = store
        self._states: dict[int, list[_Watcher]] = {}
        self._events: dict[int, list[_Watcher]] = {}

    def committed(self, changes: Sequence[RunChange]) -> None:
        """Wake those who watch runs that a commit changed."""
        if not self._states and not self._events:
            return
        for change in changes:
            if change.patch is not None and change.patch.state is not None:
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
    def _wake(table: dict[int, list[_Watcher]], run: int) -> None:
        for watcher in table.get(run, ()):
            watcher.event.set()

    async def states(self, run_id: str) -> AsyncIterator[None]:
        """Yield at once, then after every change of a run's state."""
        async for _ in self._watch(self._states, run_id):
            yield

    async def events(self, run_id: str, *, tree: bool) -> AsyncIterator[None]:
        """Yield at once, then after every new event of a run (or of those below it)."""
        async for _ in self._watch(self._events, run_id):
            yield

    async def _watch(self, table: dict[int, list[_Watcher]], run_id: str) -> AsyncIterator[None]:
        row = await self._store.get_run(run_id)
        if row is None:
            return
        watcher = _Watcher(row.run, row.root)
        table.setdefault(row.run, []).append(watcher)
        try:
            while True:
                watcher.event = anyio.Event()
                yield
                if self._store.directory is None:
                    await watcher.event.wait()
                else:
                    await self._next(watcher)
        finally:
            table[row.run].remove(watcher)
            if not table[row.run]:
                del table[row.run]

    async def _next(self, watcher: _Watcher) -> None:
        """Wait for a wake-up, and look now and then whether another process has committed."""
        while not watcher.event.is_set():
            with anyio.move_on_after(LOOK):
                await watcher.event.wait()
            if not watcher.event.is_set() and self._store.changed():
                self.everybody()
