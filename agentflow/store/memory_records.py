"""The memory store's half for doors: runs by their ids, steps by their addresses, tasks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from agentflow.clock import Clock, SystemClock
from agentflow.data import decode, encode
from agentflow.errors import NotFoundError
from agentflow.store.common import ASKING, OPEN, join_artifacts, shortest_ending
from agentflow.store.contract import Matches
from agentflow.store.memory_state import MemoryRun, MemoryTask, Tables
from agentflow.store.rows import (
    NewRun,
    RunRow,
    StepRow,
    TaskView,
)


class Base:
    """What every part of the memory store shares."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Open an empty store."""
        self.holder = ""
        self._clock = clock or SystemClock()
        self.tables = Tables()
        self.definitions: dict[str, bytes] = {}
        self._last_key = 0

    @property
    def directory(self) -> str | None:
        """None: no other process sees this store."""
        return None

    @property
    def matches(self) -> Matches:
        """Whether a filter wants an event's data; set by the engine."""
        return self.tables.matches

    @matches.setter
    def matches(self, matches: Matches) -> None:
        self.tables.matches = matches

    def run(self, run_id: str) -> MemoryRun | None:
        key = self.tables.ids.get(run_id)
        return None if key is None else self.tables.runs[key]

    def known(self, run_id: str) -> MemoryRun:
        run = self.run(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id}.")
        return run

    def allocate(self) -> int:
        """Return a fresh integer key for a run."""
        self._last_key += 1
        return self._last_key

    async def new_key(self) -> int:
        """Return a fresh integer key for a run."""
        return self.allocate()

    async def close(self) -> None:
        """Forget nothing yet: what reads this store afterwards still may."""


class Runs(Base):
    """Runs and steps."""

    async def create_run(self, run: NewRun) -> RunRow:
        """Create a run; one with the same id is overwritten."""
        known = self.run(run.id)
        if known:
            self.tables.delete(known)
        return self.tables.create(self.allocate(), run, "").row()

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        run = self.run(run_id)
        return run.row() if run else None

    async def update_context(self, run_id: str, context: Mapping[str, Any]) -> None:
        """Replace the run's free context keys."""
        run = self.known(run_id)
        run.context = encode(context)
        run.updated_at = max(run.updated_at, self._clock.now())

    async def delete_run(self, run_id: str) -> None:
        """Delete a run, its descendants, and all rows of theirs."""
        run = self.run(run_id)
        if run:
            self.tables.delete(run)

    async def upsert_step(self, run_id: str, step: StepRow) -> None:
        """Insert or update one step."""
        run = self.known(run_id)
        known = next((row.n for row in run.steps.values() if row.address == step.address), step.n)
        self.tables.upsert_step(run, step._replace(n=known))

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        run = self.run(run_id)
        return next((row for row in reversed(run.steps.values()) if row.address == address), None) if run else None

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion."""
        run = self.run(run_id)
        return list(run.steps.values()) if run else []


class Tasks(Base):
    """Waits, artifacts, messages, ids."""

    async def get_task(self, task_id: str) -> TaskView | None:
        """Return a wait or agent task by its whole id."""
        task = self.tables.tasks.get(task_id)
        return self.tables.view(task) if task else None

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
        tasks: Iterable[MemoryTask] = self.tables.tasks.values()
        if run_id is not None:
            run = self.run(run_id)
            runs = () if run is None else run.tree() if tree else (run,)
            tasks = [task for run in runs for task in run.tasks.values()]
        chosen = [
            task
            for task in tasks
            if (task.row.kind != "agent" or task.row.state in ASKING)
            and (not open_only or task.row.state in OPEN)
            and (owner is None or self.tables.runs[task.row.run].new.owner == owner)
        ]
        chosen.sort(key=_task_age)
        if before is not None:
            mark = self.tables.tasks.get(before)
            chosen = [task for task in chosen if mark and _task_age(task) < _task_age(mark)]
        return [self.tables.view(task) for task in chosen[:limit]]

    async def artifacts(self, run_id: str) -> list[Any]:
        """Return the artifacts of a run's task, chunks joined."""
        run = self.run(run_id)
        return join_artifacts((row.artifact_id, row.append, row.data) for row in run.artifacts) if run else []

    async def history(self, task_id: str) -> list[Any]:
        """Return the messages of a task, oldest first."""
        run, wanted = self.run(task_id), None
        if run is None and (task := self.tables.tasks.get(task_id)):
            run, wanted = self.tables.runs[task.row.run], task_id
        return [decode(row.data) for row in run.messages if row.task == wanted] if run else []

    async def find(self, ending: str, kind: Literal["run", "wait"], limit: int = 5) -> list[str]:
        """Return ids that end with this text, newest first."""
        ids: Iterable[str] = self.tables.ids if kind == "run" else self.tables.tasks
        return sorted((text for text in ids if text.endswith(ending)), reverse=True)[:limit]

    async def shortest(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> list[str]:
        """Return the shortest unique ending of each id."""
        known: Iterable[str] = self.tables.ids if kind == "run" else self.tables.tasks
        order = sorted({text[::-1] for text in (*known, *ids)})
        endings: list[str] = []
        for text in ids:
            at = bisect_right(order, text[::-1]) - 1
            endings.append(
                shortest_ending(text, [other[::-1] for other in order[max(at - 1, 0) : at + 2] if other != text[::-1]])
            )
        return endings


def _task_age(task: MemoryTask) -> tuple[float, str]:
    return task.row.created_at, task.row.id
