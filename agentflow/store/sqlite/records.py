"""distri's seven operations, and tasks as doors see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentflow.data import decode, encode
from agentflow.errors import Defect
from agentflow.store.common import join_artifacts
from agentflow.store.rows import (
    NewRun,
    RunRow,
    StepRow,
    TaskView,
)
from agentflow.store.sqlite.base import Base
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.queries import ids_ending, shortest_of, task_where
from agentflow.store.sqlite.rows import TASK, run_rows, step_at, step_rows, task_view, tree_keys
from agentflow.store.sqlite.sql import do, number, one, rows


class Runs(Base):
    """Runs and steps by their ids and addresses."""

    async def create_run(self, run: NewRun) -> RunRow:
        """Create a run; one with the same id is overwritten."""
        db = self._writer.db
        key = await self.new_key()

        def work(batch: Batch) -> RunRow:
            known = number(db, "SELECT key FROM runs WHERE ending = ?", (run.id[::-1],))
            if known:
                batch.queues.delete(tree_keys(db, known))
            parent = one(db, "SELECT root, context_id FROM heads WHERE key = ?", (run.parent,))
            root, context_id = parent or (key, run.id)
            batch.create(key, run, root, run.context_id or context_id, "")
            batch.flush()
            return run_rows(db, "WHERE h.key = ?", (key,))[0]

        return await self._write(work)

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        with self._faults:
            found = run_rows(self._reader, "WHERE r.ending = ?", (run_id[::-1],))
        return found[0] if found else None

    async def update_context(self, run_id: str, context: Mapping[str, Any]) -> None:
        """Replace the run's free context keys."""
        db = self._writer.db
        data, now = encode(context), self._clock.now()

        def work(_: Batch) -> None:
            key = self._known(db, run_id)
            do(db, "REPLACE INTO context (run, data) VALUES (?, ?)", (key, data))
            do(db, "UPDATE heads SET updated_at = max(updated_at, ?) WHERE key = ?", (now, key))

        await self._write(work)

    async def delete_run(self, run_id: str) -> None:
        """Delete a run, its descendants, and all rows of theirs."""
        db = self._writer.db

        def work(batch: Batch) -> None:
            key = number(db, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))
            if key:
                batch.queues.delete(tree_keys(db, key))

        await self._write(work)

    async def upsert_step(self, run_id: str, step: StepRow) -> None:
        """Insert or update one step."""
        db = self._writer.db

        def work(batch: Batch) -> None:
            key = self._known(db, run_id)
            known = step_at(db, key, step.address)
            head = batch.head(key)
            if head is None:
                raise Defect(f"Run {run_id} has no head.")
            batch.follow(
                number(db, "SELECT max(born) FROM steps WHERE key BETWEEN ? AND ?", (key << 32, (key + 1 << 32) - 1))
            )
            batch.step(key, step if known is None else step._replace(n=known.n))

        await self._write(work)

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        with self._faults:
            key = self._key(run_id)
            return None if key is None else step_at(self._reader, key, address)

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion."""
        with self._faults:
            key = self._key(run_id)
            return [] if key is None else step_rows(self._reader, key)


class Tasks(Base):
    """Waits, artifacts, messages."""

    async def get_task(self, task_id: str) -> TaskView | None:
        """Return a wait or agent task by its whole id."""
        with self._faults:
            found = one(self._reader, f"{TASK} WHERE k.ending = ?", (task_id[::-1],))
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
        with self._faults:
            run = None if run_id is None else self._key(run_id)
            if run_id is not None and run is None:
                return []
            members = tree_keys(self._reader, run) if tree and run is not None else ()
            where, args = task_where(run, members, open_only, owner, before)
            found = rows(self._reader, f"{TASK} {where} ORDER BY k.created_at, k.id LIMIT ?", (*args, limit))
        return [task_view(values) for values in found]

    async def artifacts(self, run_id: str) -> list[Any]:
        """Return the artifacts of a run's task, chunks joined."""
        with self._faults:
            found = rows(
                self._reader,
                "SELECT a.artifact, a.append, a.data FROM artifacts a JOIN runs r ON r.key = a.run WHERE r.ending = ?"
                " ORDER BY a.pos",
                (run_id[::-1],),
            )
        return join_artifacts((values[0], bool(values[1]), values[2]) for values in found)

    async def history(self, task_id: str) -> list[Any]:
        """Return the messages of a task, oldest first."""
        with self._faults:
            run, wanted = self._key(task_id), None
            if run is None:
                run, wanted = number(self._reader, "SELECT run FROM tasks WHERE ending = ?", (task_id[::-1],)), task_id
            found = rows(
                self._reader, "SELECT data FROM messages WHERE run = ? AND task IS ? ORDER BY pos", (run, wanted)
            )
        return [decode(values[0]) for values in found]

    async def find(self, ending: str, kind: Literal["run", "wait"], limit: int = 5) -> list[str]:
        """Return ids that end with this text, newest first."""
        with self._faults:
            return ids_ending(self._reader, kind, ending, limit)

    async def shortest(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> list[str]:
        """Return the shortest unique ending of each id."""
        with self._faults:
            return [shortest_of(self._reader, kind, text) for text in ids]
