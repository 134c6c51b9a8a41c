"""Tasks as the surfaces of agent protocols follow them: a run or a wait, and its changes, one at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentflow.data import is_object, salvaged
from agentflow.engine.finding import run_of, task_of
from agentflow.engine.read.watching import Watching
from agentflow.errors import NotFoundError
from agentflow.principal import Principal
from agentflow.store.common import join_artifacts
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, ArtifactRow, Event, RunRow
from agentflow.store.views import TaskView

_PAGE = 500
_KEPT = 4_000_000
"""Bytes of pages that are kept, as they are in the store."""
_CHANGE = 1000
"""Bytes of a change beside its chunk, about."""


class Chunk(NamedTuple):
    """A piece of an artifact, as it came."""

    artifact: Any
    """The artifact (A2A's), with the parts of this piece only."""
    append: bool
    """Its parts follow those that came before; else it replaces the artifact."""
    last: bool


@dataclass(slots=True, eq=False)
class Change:
    """One change of a task: of its state, of its artifacts (then with the chunk), or a message."""

    event: Event
    chunk: Chunk | None = None
    telling: Any = None
    """What a surface has made of it: all who follow the task are told the same."""
    size: int = 0
    """Bytes of its chunk."""


class Page(NamedTuple):
    """What followed a generation, when it was read."""

    version: int
    """What was committed before: see `Watching.version`."""
    changes: Sequence[Change]
    over: bool
    """Nothing will follow."""


class _Pages:
    """The pages that were read last, for all who follow the same tasks. What a log holds never changes."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, int], Page] = {}
        self._size = 0

    def find(self, task_id: str, after: int, version: int) -> Page | None:
        """Return a page, unless it may say less than there is: that there was nothing counts for its moment only."""
        page = self._pages.get((task_id, after))
        return page if page is not None and (page.changes or page.version == version) else None

    def keep(self, task_id: str, after: int, page: Page) -> None:
        """Keep a page, and let go of older ones."""
        before = self._pages.pop((task_id, after), None)
        self._size += _size(page) - (_size(before) if before is not None else 0)
        self._pages[task_id, after] = page
        while self._size > _KEPT and len(self._pages) > 1:
            self._size -= _size(self._pages.pop(next(iter(self._pages))))


class Tasks:
    """Looks at tasks, and follows them. Unknown and foreign ones look the same."""

    def __init__(self, store: Store, watching: Watching, shown: Callable[[TaskView], TaskView]) -> None:
        """Follow nothing yet; `shown` adds to a wait where its answer is given."""
        self._shown = shown
        self._store = store
        self._watching = watching
        self._pages = _Pages()

    async def find(self, task_id: str, principal: Principal) -> RunRow | TaskView:
        """Return a run, a wait or an agent's turn by its whole id; raises NotFoundError."""
        view = await task_of(self._store, task_id, principal)
        return self._shown(view) if view is not None else await run_of(self._store, task_id, principal)

    async def waits(self, run_id: str, *, ended: bool = False) -> list[TaskView]:
        """Return the waits of a run and of those below it, oldest first; `ended`: those too that are closed."""
        found = await self._store.list_tasks(run_id=run_id, tree=True, open_only=not ended)
        return [self._shown(view) for view in found]

    async def answered(self, run: RunRow, message_id: str) -> TaskView | None:
        """Return the wait of a run's tree that a message has answered."""
        return await self._store.answered(run.root, message_id)

    async def artifacts(self, task_id: str, generation: int) -> list[Any]:
        """Return the artifacts of a task as they were at a generation of it, chunks joined."""
        return join_artifacts([chunk for number, chunk in await self._chunks(task_id, 0) if number <= generation])

    async def changes(self, task_id: str, after: int, principal: Principal) -> AsyncGenerator[Change, None]:
        """Yield a task's changes after a generation, then new ones as they come, until its end."""
        found = await self.find(task_id, principal)
        with self._watching.events(found.run if isinstance(found, RunRow) else found.task.run) as watcher:
            while True:
                page = await self.page(task_id, after)
                for change in page.changes:
                    after = change.event.generation or after
                    yield change
                if not page.changes:
                    if page.over:
                        return
                    await watcher.next()

    async def page(self, task_id: str, after: int) -> Page:
        """Return what followed a generation, the first of it; read once for all who follow the task."""
        version = self._watching.version
        page = self._pages.find(task_id, after, version)
        if page is None:
            ended = await self._has_ended(task_id)  # before its log is read: what came with its end is there then
            events = await self._store.task_log(task_id, after, _PAGE)
            changes = await self._with_chunks(task_id, after, events)
            page = Page(version, changes, ended and len(changes) < _PAGE)
            self._pages.keep(task_id, after, page)
        return page

    async def _has_ended(self, task_id: str) -> bool:
        task = await self._store.get_task(task_id)
        if task is not None:
            return task.task.state in TERMINAL
        run = await self._store.get_run(task_id)
        if run is None:
            raise NotFoundError(f'no task "{task_id}": it was deleted')
        return run.state in TERMINAL

    async def _with_chunks(self, task_id: str, after: int, events: Sequence[Event]) -> list[Change]:
        if all(event.type != "artifact" for event in events):
            return [Change(event) for event in events]
        rows = dict(await self._store.chunks(task_id, after, _PAGE))
        changes: list[Change] = []
        for event in events:
            row = rows.get(event.generation or 0) if event.type == "artifact" else None
            chunk = await self._chunk(task_id, event, row) if row is not None else None
            changes.append(Change(event, chunk, size=len(row.data) if row is not None else 0))
        return changes

    async def _chunk(self, task_id: str, event: Event, row: ArtifactRow) -> Chunk:
        """Return a chunk; one that takes earlier ones back is told as the whole that is left."""
        if not row.anew:
            return Chunk(salvaged(row.data, {}), row.append, row.last_chunk)
        whole = await self.artifacts(task_id, event.generation or 0)
        named = (each for each in whole if is_object(each) and each.get("artifactId") == row.artifact_id)
        return Chunk(next(named, salvaged(row.data, {})), False, row.last_chunk)

    async def _chunks(self, task_id: str, after: int) -> list[tuple[int, ArtifactRow]]:
        found: list[tuple[int, ArtifactRow]] = []
        while page := await self._store.chunks(task_id, after, _PAGE):
            found += page
            after = page[-1][0]
        return found


def _size(page: Page) -> int:
    return _CHANGE + sum(_CHANGE + change.size for change in page.changes)
