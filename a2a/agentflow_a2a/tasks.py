"""Finds tasks of one agent, and puts them together: status, artifacts, history."""

from __future__ import annotations

from typing import Any

from agentflow.engine import Engine
from agentflow.engine.models import wait_view
from agentflow.engine.read.outputs import output_of
from agentflow.errors import NotFoundError
from agentflow.principal import Principal
from agentflow.store.rows import TERMINAL, RunRow
from agentflow.store.views import TaskView
from agentflow_a2a.refusals import not_found
from agentflow_a2a.told import (
    PROGRESS,
    TASKS,
    Json,
    Moment,
    artifact_json,
    is_artifact,
    message_json,
    output_artifact,
    progress_status,
    run_status,
    run_task,
    status,
    timestamp,
    wait_task,
)

Found = RunRow | TaskView
"""A run, a wait, or an agent's turn."""
_DEEPEST = 100
_LOOKED_AT = 20
"""Last changes of a task that are looked at for what was told of it."""


def is_over(found: Found) -> bool:
    """Tell whether a task has ended."""
    return (found.state if isinstance(found, RunRow) else found.task.state) in TERMINAL


def task_id_of(found: Found) -> str:
    """Return a task's id."""
    return found.id if isinstance(found, RunRow) else found.task.id


class Tasks:
    """The tasks of an engine's agent."""

    def __init__(self, engine: Engine) -> None:
        """Made over an open engine."""
        self._engine = engine
        self._agents = engine.core.env.agents

    async def find(self, task_id: str, principal: Principal) -> Found:
        """Return a task by its id; raises RefusedError: unknown, foreign and other agents' ones look the same."""
        try:
            found = await self._engine.told.find(task_id, principal)
        except NotFoundError:
            raise not_found(task_id) from None
        if found.agent not in self._agents:
            raise not_found(task_id)
        return found

    async def whole(
        self, found: Found, history: int | None, *, artifacts: bool = True, generation: int | None = None
    ) -> Json:
        """Return a task; lists without anything in them aren't told.

        Args:
            found: the task.
            history: how many of its newest messages; None: all.
            artifacts: whether its artifacts are told.
            generation: its artifacts as they were then; None: as they are.
        """
        if isinstance(found, RunRow):
            task = run_task(found, await self._depth(found))
            waits = await self.waits(found) if found.state in {"input-required", "auth-required"} else []
            task["status"] = await self._progress(found) or run_status(found, waits)
            if any(wait_view(view).connection is not None for view in waits):
                task["metadata"][TASKS] |= await self._lacks(found)
            given = await self.artifacts(found, generation) if artifacts else []
        else:
            run = await self._engine.store.get_run(found.run_id)
            task = wait_task(found, 1 + (await self._depth(run) if run is not None else 0))
            given = await self._given(found.task.id, generation) if artifacts and found.task.kind == "agent" else []
        messages = await self._history(task, history) if history != 0 else []
        for name, told in (("artifacts", given), ("history", messages)):
            if told:
                task[name] = told
        return task

    async def _lacks(self, run: RunRow) -> Json:
        """Return all that a run's workflow lacks, once it waits for some of it."""
        try:
            needs = await self._engine.preflight(run.workflow, principal=Principal(run.owner, run.tenant))
        except NotFoundError:  # it isn't the config's
            return {}
        return {"missing": needs.to_data()["missing"]}

    async def _progress(self, run: RunRow) -> Json | None:
        """Return the status of a run that works, where the last that was told of it is a step's progress."""
        if run.state != "working":
            return None
        changes = await self._engine.store.task_log(run.id, max(0, run.generation - _LOOKED_AT), _LOOKED_AT)
        last = next((event for event in reversed(changes) if event.type != "artifact"), None)
        if last is None or last.type != PROGRESS:
            return None
        # Lists are in the order of the times at which states changed: it stays the time that is told.
        return {**progress_status(run, last), "timestamp": timestamp(run.changed_at)}

    async def begun(self, run: RunRow) -> Json:
        """Return a run as it was when it was asked for: nothing of it had happened."""
        task = run_task(run._replace(generation=0), await self._depth(run))
        task["status"] = status(run.id, run.context_id, Moment("submitted", run.created_at), [])
        views = await self._engine.store.history(run.id)
        asked = [message_json(run.id, run.context_id, view) for view in views[:1] if view.role == "user"]
        return {**task, "history": asked} if asked else task

    async def waits(self, run: RunRow) -> list[TaskView]:
        """Return the open waits of a run and of those below it."""
        return await self._engine.told.waits(run.id)

    async def artifacts(self, run: RunRow, generation: int | None = None) -> list[Any]:
        """Return what a run has given, its result last."""
        given = await self._given(run.id, generation)
        result = await self.result(run, given)
        return [*given, *([result] if result is not None else ())]

    async def _given(self, task_id: str, generation: int | None) -> list[Any]:
        if generation is None:
            found = await self._engine.store.artifacts(task_id)
        else:
            found = await self._engine.told.artifacts(task_id, generation)
        return [artifact_json(each) for each in found]

    async def result(self, run: RunRow, given: list[Any]) -> Json | None:
        """Return a completed run's result as an artifact, where it has one that isn't among those it gave."""
        if run.state != "completed":
            return None
        output = await output_of(self._engine.store, run)
        return None if output is None or is_artifact(output, given) else output_artifact(output)

    async def reply(self, run: RunRow) -> Json | None:
        """Return the last message of a completed run that has given no artifacts, as one that belongs to no task."""
        if run.state != "completed" or await self._engine.store.artifacts(run.id):
            return None
        last = await self._engine.store.history(run.id, 1)
        if not last or last[0].role != "agent":
            return None
        told = message_json(run.id, run.context_id, last[0])
        return {name: value for name, value in told.items() if name != "taskId"}

    async def _history(self, task: Json, limit: int | None) -> list[Json]:
        views = await self._engine.store.history(task["id"], limit, tree=True)
        return [message_json(task["id"], task["contextId"], view) for view in views]

    async def _depth(self, run: RunRow) -> int:
        """Return how many runs are above a run."""
        depth, above = 0, run.parent_id
        while above is not None and depth < _DEEPEST:
            depth += 1
            if above == run.root_id:
                break
            parent = await self._engine.store.get_run(above)
            above = parent.parent_id if parent is not None else None
        return depth
