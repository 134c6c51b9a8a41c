"""Tasks as doors see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from agentflow.principal import Principal
from agentflow.store.common import join_artifacts
from agentflow.store.rows import ArtifactRow, Event
from agentflow.store.sqlite.listing import task_page
from agentflow.store.sqlite.queries import answered_by, ids_ending, shortest_of, task_where
from agentflow.store.sqlite.readable import Readable, key_of
from agentflow.store.sqlite.rows import (
    EVENT,
    TASK,
    chunk_row,
    event,
    listed,
    message_view,
    task_place,
    task_view,
    tree_keys,
)
from agentflow.store.sqlite.sql import one, rows
from agentflow.store.views import MessageView, TaskPage, TaskQuery, TaskView

# ruff: noqa: S608  the only text put in is constants

_MESSAGES = "SELECT m.id, m.role, m.generation, m.at, m.data, k.answer FROM messages m"


class Tasks:
    """Waits, agents' turns, artifacts, messages."""

    _source: Readable

    async def get_task(self, task_id: str) -> TaskView | None:
        """Return a wait or agent task by its whole id."""
        with self._source.faults:
            found = one(self._source.reader, f"{TASK} WHERE k.ending = ?", (task_id[::-1],))
        return task_view(found) if found else None

    async def answered(self, root: int, message_id: str) -> TaskView | None:
        """Return the wait of a tree that a message has answered."""
        with self._source.faults:
            named = answered_by(self._source.reader, root, message_id)
        return await self.get_task(named) if named else None

    async def list_tasks(
        self,
        *,
        run_id: str | None = None,
        tree: bool = False,
        open_only: bool = True,
        principal: Principal | None = None,
        before: str | None = None,
        limit: int = 1000,
    ) -> list[TaskView]:
        """Return wait tasks, oldest first."""
        with self._source.faults:
            run = None if run_id is None else key_of(self._source.reader, run_id)
            if run_id is not None and run is None:
                return []
            members = tree_keys(self._source.reader, run) if tree and run is not None else ()
            where, args = task_where(run, members, open_only, principal, before)
            found = rows(self._source.reader, f"{TASK} {where} ORDER BY k.created_at, k.id LIMIT ?", (*args, limit))
        return [task_view(values) for values in found]

    async def task_page(self, query: TaskQuery) -> TaskPage:
        """Return a page of tasks, those whose state changed last first, and how many there are on all pages."""
        with self._source.faults:
            return task_page(self._source.reader, query)

    async def artifacts(self, task_id: str) -> list[Any]:
        """Return the artifacts of a task, chunks joined."""
        return join_artifacts(chunk for _, chunk in await self.chunks(task_id, -1, -1))

    async def chunks(self, task_id: str, after: int = 0, limit: int = 1000) -> list[tuple[int, ArtifactRow]]:
        """Return (generation, chunk) of a task's artifacts after a generation."""
        with self._source.faults:
            run, wanted = task_place(self._source.reader, task_id)
            found = rows(
                self._source.reader,
                "SELECT a.generation, a.run, a.artifact, a.append, a.data, a.at, a.last_chunk, a.step, a.anew, a.task"
                " FROM artifacts a WHERE a.run = ? AND a.task IS ? AND a.generation > ?"
                " ORDER BY a.generation, a.pos LIMIT ?",
                (run, wanted, after, limit),
            )
        return [(values[0], chunk_row(values[1:])) for values in found]

    async def history(self, task_id: str, limit: int | None = None, *, tree: bool = False) -> list[MessageView]:
        """Return the messages of a task, oldest first; with `tree` of a run's tree."""
        most = -1 if limit is None else limit
        with self._source.faults:
            db = self._source.reader
            run, wanted = task_place(db, task_id)
            if tree and wanted is None:
                members = listed(tree_keys(db, run))
                found = rows(
                    db,
                    f"{_MESSAGES} LEFT JOIN tasks k ON m.data IS NULL AND k.run = m.run AND k.id = m.task"
                    " WHERE m.run IN (SELECT value FROM json_each(?1)) AND (m.task IS NULL OR m.task NOT IN"
                    " (SELECT id FROM tasks WHERE kind = 'agent' AND run IN (SELECT value FROM json_each(?1))))"
                    " ORDER BY m.pos DESC LIMIT ?2",
                    (members, most),
                )
            else:
                found = rows(
                    db,
                    f"{_MESSAGES} LEFT JOIN tasks k ON m.data IS NULL AND k.ending = ?"
                    " WHERE m.run = ? AND m.task IS ? ORDER BY m.pos DESC LIMIT ?",
                    (task_id[::-1], run, wanted, most),
                )
        return [message_view(values) for values in reversed(found)]

    async def task_log(self, task_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the changes of a task after a generation: its own events, those of a run's steps aren't among them."""
        with self._source.faults:
            run, wanted = task_place(self._source.reader, task_id)
            where = "WHERE e.run = ? AND e.task IS ? AND e.generation > ? ORDER BY e.generation LIMIT ?"
            found = rows(self._source.reader, f"{EVENT} {where}", (run, wanted, after, limit))
        return [event(values) for values in found]

    async def find(
        self, ending: str, kind: Literal["run", "wait"], limit: int = 5, principal: Principal | None = None
    ) -> list[str]:
        """Return ids that end with this text, newest first; of those that are shown to a principal."""
        with self._source.faults:
            return ids_ending(self._source.reader, kind, ending, limit, principal)

    async def shortest(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> list[str]:
        """Return the shortest unique ending of each id."""
        with self._source.faults:
            return [shortest_of(self._source.reader, kind, text) for text in ids]
