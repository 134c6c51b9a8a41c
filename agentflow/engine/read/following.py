"""Following a run: until it is at rest, or event by event until its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from agentflow.engine.finding import run_of
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.lacking import LackingError, others_live
from agentflow.engine.read.watching import Watcher, Watching
from agentflow.principal import Principal
from agentflow.store.common import ASKING
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, Event, RunRow

_PAGE = 500


class Following:
    """Follows runs of a store, those of this process's cache without reading them."""

    def __init__(self, store: Store, cache: TreeCache, watching: Watching) -> None:
        """Follow nothing yet."""
        self._store = store
        self._cache = cache
        self._watching = watching

    async def rest(self, run_id: str, timeout: float | None, principal: Principal) -> RunRow:  # noqa: ASYNC109  it gives the state then, and doesn't fail
        """Return a run when it has ended or only waits for answers; after `timeout` seconds as it is then."""
        row, key = None, self._cache.working(run_id) if principal.sees_all and isinstance(run_id, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        if key is None:
            row = await run_of(self._store, run_id, principal)
            if row.state in TERMINAL:
                return row
            key = row.run
        with self._watching.states(key) as watcher:
            if row is not None:  # it may have changed before anybody watched
                row = await run_of(self._store, run_id, principal)
            if timeout is None:
                return await self._rest(run_id, row, watcher, principal)
            with anyio.move_on_after(timeout) as scope:
                row = await self._rest(run_id, row, watcher, principal)
            if scope.cancelled_caught or row is None:
                row = await run_of(self._store, run_id, principal)
        return row

    async def _rest(self, run_id: str, row: RunRow | None, watcher: Watcher, principal: Principal) -> RunRow:
        while row is None or (rests := await self._at_rest(row)) is None:
            trouble = self._cache.unreadable.get(row.root) if row is not None else None
            if trouble is not None and not (isinstance(trouble, LackingError) and await others_live(self._store)):
                raise trouble
            row = await watcher.next() or await run_of(self._store, run_id, principal)
        return rests

    async def _at_rest(self, row: RunRow) -> RunRow | None:
        """Return the row of a run that has ended or waits; an answer that is there already moves it on at once.

        It may have been carried out between two looks at the store: then the row isn't what it was.
        """
        while row.state in ASKING:
            if await self._store.inbox([row.root]):
                return None
            again = await self._store.get_run(row.id)
            if again is None or again.seq == row.seq:
                return row
            row = again
        return row if row.state in TERMINAL else None

    async def events(self, run_id: str, after: int, tree: bool, principal: Principal) -> AsyncGenerator[Event, None]:
        """Yield a run's events after a number, then new ones as they come, until its end."""
        row = await run_of(self._store, run_id, principal)
        with self._watching.events(row.run) as watcher:
            while True:
                found = await self._store.events(run_id, after, _PAGE, tree)
                for event in found:
                    after = event.pos if tree else event.seq
                    yield event
                    if event.run_id == run_id and event.type in {"run_completed", "run_failed", "run_canceled"}:
                        return
                if not found:
                    if row.state in TERMINAL:  # its end was before `after`
                        return
                    await watcher.next()
                    row = await run_of(self._store, run_id, principal)
