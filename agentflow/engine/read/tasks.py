"""Tasks as the surfaces of agent protocols follow them: a run or a wait, and its changes, one at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

from agentflow.data import is_object, salvaged
from agentflow.engine.finding import run_of, task_of
from agentflow.engine.read.watching import Watching
from agentflow.principal import Principal
from agentflow.store.common import join_artifacts
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, ArtifactRow, Event, RunRow
from agentflow.store.views import TaskView

_PAGE = 500


class Chunk(NamedTuple):
    """A piece of an artifact, as it came."""

    artifact: Any
    """The artifact (A2A's), with the parts of this piece only."""
    append: bool
    """Its parts follow those that came before; else it replaces the artifact."""
    last: bool


class Change(NamedTuple):
    """One change of a task: of its state, of its artifacts (then with the chunk), or a message."""

    event: Event
    chunk: Chunk | None = None


class Tasks:
    """Looks at tasks, and follows them. Unknown and foreign ones look the same."""

    def __init__(self, store: Store, watching: Watching) -> None:
        """Follow nothing yet."""
        self._store = store
        self._watching = watching

    async def find(self, task_id: str, principal: Principal) -> RunRow | TaskView:
        """Return a run, a wait or an agent's turn by its whole id; raises NotFoundError."""
        view = await task_of(self._store, task_id, principal)
        return view if view is not None else await run_of(self._store, task_id, principal)

    async def waits(self, run_id: str, *, ended: bool = False) -> list[TaskView]:
        """Return the waits of a run and of those below it, oldest first; `ended`: those too that are closed."""
        return await self._store.list_tasks(run_id=run_id, tree=True, open_only=not ended)

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
                changes, ended = await self.page(task_id, after, principal)
                for change in changes:
                    after = change.event.generation or after
                    yield change
                if not changes:
                    if ended:
                        return
                    await watcher.next()

    async def page(self, task_id: str, after: int, principal: Principal) -> tuple[list[Change], bool]:
        """Return a task's changes after a generation, the first of them, and whether no others will follow these."""
        ended = _state(await self.find(task_id, principal)) in TERMINAL
        events = await self._store.task_log(task_id, after, _PAGE)
        return await self._with_chunks(task_id, after, events), ended and len(events) < _PAGE

    async def _with_chunks(self, task_id: str, after: int, events: Sequence[Event]) -> list[Change]:
        if all(event.type != "artifact" for event in events):
            return [Change(event) for event in events]
        rows = dict(await self._store.chunks(task_id, after, _PAGE))
        changes: list[Change] = []
        for event in events:
            row = rows.get(event.generation or 0) if event.type == "artifact" else None
            changes.append(Change(event, await self._chunk(task_id, event, row) if row is not None else None))
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


def _state(found: RunRow | TaskView) -> str:
    return found.state if isinstance(found, RunRow) else found.task.state
