"""Tails of a task's log: the task first, then each change of it, in one order for everybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_json

from agentflow.data import is_object
from agentflow.engine import Engine
from agentflow.engine.read.tasks import Change, Chunk
from agentflow.principal import Principal
from agentflow.store.rows import Event, RunRow, State
from agentflow.store.views import TaskView
from agentflow_a2a.tasks import Found, Tasks, is_over
from agentflow_a2a.told import (
    PROGRESS,
    TASKS,
    Json,
    Moment,
    artifact_json,
    parts_json,
    progress_status,
    run_parts,
    status,
    wait_status,
)

_ASKING = frozenset({"input-required", "auth-required"})
_ENDS: dict[str, State] = {"run_completed": "completed", "run_failed": "failed", "run_canceled": "canceled"}


_FIELDS = {"task": "task", "message": "message", "status": "statusUpdate", "artifact": "artifactUpdate"}


@dataclass(slots=True, eq=False)
class Told:
    """One event of a stream."""

    kind: Literal["task", "message", "status", "artifact"]
    content: Json
    generation: int | None
    """Who has got this one goes on after that generation; None: it isn't told wholly yet."""
    rests: bool = False
    """The task waits, or has ended."""
    _text: bytes | None = None

    @property
    def text(self) -> bytes:
        """It as the protocol's JSON: written once for all who are told it."""
        if self._text is None:
            self._text = to_json({_FIELDS[self.kind]: self.content})
        return self._text


class Stream:
    """One task, as it is told to one who listens."""

    def __init__(self, engine: Engine, tasks: Tasks, task_id: str, principal: Principal) -> None:
        """Tell nothing yet."""
        self._engine = engine
        self._tasks = tasks
        self._task_id = task_id
        self._principal = principal

    async def turn(self, before: int) -> AsyncGenerator[Told, None]:
        """Tell the task, then what changes by a message, until the task rests.

        `before` is the generation that the task had before the message. What it has started is told from its beginning.
        """
        found = await self._tasks.find(self._task_id, self._principal)
        after = found.generation
        if before == 0 and isinstance(found, RunRow):
            after = 0
            yield Told("task", await self._tasks.begun(found), 0)
        else:
            yield await self._snapshot(found)
            if is_over(found) or (found.generation > before and _asks(found)):
                return
        async with aclosing(self._after(found.context_id, after)) as changes:
            async for told in changes:
                yield told
                if told.rests and (told.generation or 0) >= found.generation:
                    return

    async def whole(self, after: int | None) -> AsyncGenerator[Told, None]:
        """Tell the task, then all its changes until its end.

        Who has seen the change with the generation `after` gets what followed: the task without its artifacts, which
        it has, and each later change.
        """
        found = await self._tasks.find(self._task_id, self._principal)
        yield await self._snapshot(found, after)
        async with aclosing(self._after(found.context_id, found.generation if after is None else after)) as changes:
            async for told in changes:
                yield told

    async def _snapshot(self, found: Found, after: int | None = None) -> Told:
        if after is not None:
            return Told("task", await self._tasks.whole(found, 0, artifacts=False), after)
        generation = found.generation
        return Told("task", await self._tasks.whole(found, None, generation=generation), generation)

    async def page(self, after: int) -> tuple[list[Told], int, bool]:
        """Tell what changed after a generation, the first of it.

        Returns:
            What is told, the generation of the last change, and whether nothing will follow.
        """
        found = await self._tasks.find(self._task_id, self._principal)
        page = await self._engine.told.page(self._task_id, after)
        told = [each for change in page.changes for each in await self._change(found.context_id, change)]
        return told, (page.changes[-1].event.generation or after) if page.changes else after, page.over

    async def _after(self, context_id: str, generation: int) -> AsyncGenerator[Told, None]:
        """Tell what changed after a generation."""
        async with aclosing(self._engine.told.changes(self._task_id, generation, self._principal)) as changes:
            async for change in changes:
                for told in await self._change(context_id, change):
                    yield told

    async def _change(self, context_id: str, change: Change) -> Sequence[Told]:
        """Return what is told of a change: made once for all who are told it."""
        if change.telling is None:
            change.telling = await self._telling(context_id, change)
        telling: Sequence[Told] = change.telling
        return telling

    async def _telling(self, context_id: str, change: Change) -> Sequence[Told]:
        if change.chunk is not None:
            return [self._artifact(context_id, change.chunk, change.event.generation)]
        return await self._status(await self._tasks.find(self._task_id, self._principal), change)

    def _artifact(self, context_id: str, chunk: Chunk, generation: int | None) -> Told:
        content: Json = {
            "taskId": self._task_id,
            "contextId": context_id,
            "artifact": artifact_json(chunk.artifact),
            **({"append": True} if chunk.append else {}),
            **({"lastChunk": True} if chunk.last else {}),
        }
        return Told("artifact", _numbered(content, generation), generation)

    async def _status(self, found: Found, change: Change) -> list[Told]:
        event = change.event
        moment = _moment(event)
        if moment is None:
            return []
        if event.type in _ENDS and isinstance(found, RunRow):  # a rejected one ends as a failed one does
            moment = moment._replace(state=found.state)
        told: list[Told] = []
        if isinstance(found, RunRow) and event.type == PROGRESS:
            state = progress_status(found, event)
        elif isinstance(found, RunRow):
            if event.type == "run_completed":
                result = await self._tasks.result(found, await self._engine.store.artifacts(found.id))
                if result is not None:  # without a number: it is told again to who has missed the end
                    told.append(self._artifact(found.context_id, Chunk(result, False, True), None))
            waits = await self._waits_at(found, event.at) if moment.state in _ASKING else []
            parts = _said(event) or run_parts(found, moment.state, waits, _text(event))
            state = status(found.id, found.context_id, moment, parts, [view.task.id for view in waits])
        else:
            state = wait_status(found, moment)
        content = {"taskId": self._task_id, "contextId": found.context_id, "status": state}
        rests = moment.state not in {"submitted", "working"}
        told.append(Told("status", _numbered(content, event.generation), event.generation, rests))
        return told

    async def _waits_at(self, run: RunRow, at: float) -> list[TaskView]:
        """Return the waits that were open at a time."""
        found = await self._engine.told.waits(run.id, ended=True)
        return [
            view._replace(task=view.task._replace(state="input-required"))
            for view in found
            if view.task.created_at <= at and (view.task.updated_at > at or view.task.state in _ASKING)
        ]


def _asks(found: Found) -> bool:
    return (found.state if isinstance(found, RunRow) else found.task.state) in _ASKING


def _moment(event: Event) -> Moment | None:
    """Return the state that an event tells; None: it tells of none."""
    data: Any = event.data
    if event.type in _ENDS:
        return Moment(_ENDS[event.type], event.at)
    if event.type in {"run_started", "message", PROGRESS}:
        return Moment("working", event.at)
    if event.type == "run_status" and is_object(data):
        return Moment(data["state"], event.at)
    if event.type == "step_waiting":
        return Moment("auth-required" if is_object(data) and data.get("kind") == "auth" else "input-required", event.at)
    if event.type == "step_resumed":
        return Moment("completed", event.at)
    if event.type in {"task_opened", "task_status", "task_closed"} and is_object(data):
        return Moment(data["state"], event.at)
    return None


def _said(event: Event) -> list[Json]:
    """Return the parts of a message that a step has sent."""
    parts: Any = event.data.get("parts") if event.type == "message" and is_object(event.data) else None
    return parts_json(parts)


def _text(event: Event) -> str | None:
    text: Any = event.data.get("message") if event.type == "run_status" and is_object(event.data) else None
    return text if isinstance(text, str) else None


def _numbered(content: Json, generation: int | None) -> Json:
    """Return an event with the generation of its change, for those who go on after it."""
    return content if generation is None else {**content, "metadata": {TASKS: {"generation": generation}}}
