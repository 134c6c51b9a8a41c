"""Tasks as doors see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from agentflow.data import decode
from agentflow.store.common import join_artifacts
from agentflow.store.rows import (
    TaskView,
)
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.queries import ids_ending, shortest_of, task_where
from agentflow.store.sqlite.rows import TASK, task_view, tree_keys
from agentflow.store.sqlite.sql import number, one, rows


class Tasks:
    """Waits, artifacts, messages."""

    _database: Database

    async def get_task(self, task_id: str) -> TaskView | None:
        """Return a wait or agent task by its whole id."""
        with self._database.faults:
            found = one(self._database.reader, f"{TASK} WHERE k.ending = ?", (task_id[::-1],))
        return task_view(found) if found else None

    async def list_tasks(
        self,
        *,
        run_id: str | None = None,
        tree: bool = False,
        open_only: bool = True,
        owner: str | None = None,
        before: str | None = None,
        limit: int = 1000,
    ) -> list[TaskView]:
        """Return wait tasks, oldest first."""
        with self._database.faults:
            run = None if run_id is None else self._database.key(run_id)
            if run_id is not None and run is None:
                return []
            members = tree_keys(self._database.reader, run) if tree and run is not None else ()
            where, args = task_where(run, members, open_only, owner, before)
            found = rows(self._database.reader, f"{TASK} {where} ORDER BY k.created_at, k.id LIMIT ?", (*args, limit))
        return [task_view(values) for values in found]

    async def artifacts(self, run_id: str) -> list[Any]:
        """Return the artifacts of a run's task, chunks joined."""
        with self._database.faults:
            found = rows(
                self._database.reader,
                "SELECT a.artifact, a.append, a.data FROM artifacts a JOIN runs r ON r.key = a.run WHERE r.ending = ?"
                " ORDER BY a.pos",
                (run_id[::-1],),
            )
        return join_artifacts((values[0], bool(values[1]), values[2]) for values in found)

    async def history(self, task_id: str) -> list[Any]:
        """Return the messages of a task, oldest first."""
        with self._database.faults:
            run, wanted = self._database.key(task_id), None
            if run is None:
                run, wanted = (
                    number(self._database.reader, "SELECT run FROM tasks WHERE ending = ?", (task_id[::-1],)),
                    task_id,
                )
            found = rows(
                self._database.reader,
                "SELECT data FROM messages WHERE run = ? AND task IS ? ORDER BY pos",
                (run, wanted),
            )
        return [decode(values[0]) for values in found]

    async def find(self, ending: str, kind: Literal["run", "wait"], limit: int = 5) -> list[str]:
        """Return ids that end with this text, newest first."""
        with self._database.faults:
            return ids_ending(self._database.reader, kind, ending, limit)

    async def shortest(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> list[str]:
        """Return the shortest unique ending of each id."""
        with self._database.faults:
            return [shortest_of(self._database.reader, kind, text) for text in ids]
