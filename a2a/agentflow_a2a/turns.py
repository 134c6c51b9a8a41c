"""Takes a message: it starts a run, or answers a wait, once and for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentflow.data import decode, is_object
from agentflow.engine import Answer, Engine
from agentflow.errors import InputError
from agentflow.principal import Principal
from agentflow.store.rows import RunRow
from agentflow.store.views import TaskView
from agentflow_a2a.choosing import asking, choose
from agentflow_a2a.reading import Said, as_answer, named, said
from agentflow_a2a.refusals import RefusedError, invalid
from agentflow_a2a.refusals import said as words
from agentflow_a2a.tasks import Tasks, is_over
from agentflow_a2a.told import TASKS

DOOR = "a2a"
AGAIN = -1
"""Stands for the generation before a message that was taken long ago."""
ANSWERED = frozenset({"input", "tool", "auth", "operator"})
"""Kinds of waits that a message can answer: an event is published, a time passes."""


class Turn(NamedTuple):
    """What a message was about."""

    task_id: str
    message_id: str
    before: int = 0
    """Generation of the task before the message."""
    moves: bool = False
    """It is a run that goes on by it."""
    direct: bool = False
    """It is a run whose reply alone may be told."""
    notice: str | None = None
    """Why it wasn't taken; what it should have answered is still open."""


class Turns:
    """Takes the messages of one agent."""

    def __init__(self, engine: Engine, tasks: Tasks) -> None:
        """Made over an open engine."""
        self._engine = engine
        self._tasks = tasks

    async def take(self, request: Mapping[str, Any], principal: Principal, key: str | None = None) -> Turn:
        """Start a run or answer a wait. With the idempotency key of an earlier start it is that run, once more.

        Raises:
            RefusedError: the protocol has an error for it.
            AgentflowError: the engine has.
        """
        message: Mapping[str, Any] = request["message"]
        if message.get("role") != "ROLE_USER":
            raise invalid("message.role", "who asks an agent is a user")
        task_id = message.get("taskId")
        if task_id:
            return await self._continue(task_id, message, principal)
        metadata: Mapping[str, Any] = request.get("metadata") or {}
        told: Any = metadata.get(TASKS)
        named = told.get("idempotencyKey") if is_object(told) else None
        return await self._start(message, metadata, principal, key or (named if isinstance(named, str) else None))

    async def _start(
        self, message: Mapping[str, Any], metadata: Mapping[str, Any], principal: Principal, key: str | None
    ) -> Turn:
        workflows = self._engine.config.workflows
        content = said(message)
        start = choose(workflows, content, message.get("metadata") or {}, metadata)
        context_id = message.get("contextId") or None
        try:
            run = await self._engine.start(
                start.workflow, start.input, entry_point=start.entry_point, context_id=context_id,
                principal=principal, idempotency_key=key, message=message, door=DOOR,
            )  # fmt: skip
        except InputError as error:
            if content.data or not isinstance(start.workflow, str):
                raise
            start = asking(workflows[start.workflow], start.entry_point, words(error))
            run = await self._engine.start(
                start.workflow, start.input, context_id=context_id, principal=principal, idempotency_key=key,
                message=message, door=DOOR,
            )  # fmt: skip
        declared = workflows.get(run.workflow)
        direct = declared is not None and declared.direct_reply
        return Turn(run.id, str(message["messageId"]), moves=True, direct=direct)

    async def _continue(self, task_id: str, message: Mapping[str, Any], principal: Principal) -> Turn:
        found = await self._tasks.find(task_id, principal)
        name = str(message["messageId"])
        if message.get("contextId") and message["contextId"] != found.context_id:
            raise invalid("message.contextId", f'task "{task_id}" belongs to another context')
        if isinstance(found, RunRow):
            return await self._to_run(found, message, name, principal)
        if found.message_id == name:  # it was taken before
            return Turn(task_id, name, found.generation)
        if is_over(found):
            raise RefusedError("unsupported", f'the wait of step "{found.task.step}" has ended; it takes no answer')
        wait = await self._asked(found, name) if found.task.kind == "agent" else found
        notice = await self._answer(wait, said(message), message, name, principal)
        return Turn(task_id, name, found.generation, notice=notice)

    async def _asked(self, turn: TaskView, name: str) -> TaskView:
        """Return the wait for what an agent asks in its turn."""
        for view in await self._engine.told.waits(turn.run_id, ended=True):
            if view.message_id == name or (
                not is_over(view) and (view.task.run, view.task.n) == (turn.task.run, turn.task.n)
            ):
                return view
        raise RefusedError("unsupported", f'the agent of step "{turn.task.step}" waits for no answer now')

    async def _to_run(self, run: RunRow, message: Mapping[str, Any], name: str, principal: Principal) -> Turn:
        if await self._engine.told.answered(run, name) is not None:
            return Turn(run.id, name, AGAIN, moves=True)
        if is_over(run):
            raise RefusedError("unsupported", f"the task is {run.state}; a new one may refer to it in referenceTaskIds")
        content = said(message)
        waits = await self._tasks.waits(run)
        choice = named(content)
        if choice is not None:
            meant = [view for view in waits if choice.step in (view.task.step, view.task.id)]
            content = Said("", [choice.answer], content.files) if meant else content
            waits = meant or waits
        waits = [view for view in waits if view.task.kind in ANSWERED]
        if not waits:
            raise RefusedError("unsupported", "the task waits for no answer now")
        if len(waits) > 1:
            steps = ", ".join(view.task.step for view in waits)
            return Turn(
                run.id, name, run.generation,
                notice=f'{len(waits)} answers are waited for: {steps}. Send it to the task of one, or as data: '
                f'{{"step": "{waits[0].task.step}", "answer": …}}',
            )  # fmt: skip
        notice = await self._answer(waits[0], content, message, name, principal)
        return Turn(run.id, name, run.generation, moves=notice is None, notice=notice)

    async def _answer(
        self, view: TaskView, content: Said, message: Mapping[str, Any], name: str, principal: Principal
    ) -> str | None:
        """Answer a wait; returns why the answer doesn't fit, where it doesn't."""
        if view.task.kind not in ANSWERED:
            raise RefusedError("unsupported", f'step "{view.task.step}" waits for an event, not for an answer')
        schema = decode(view.task.schema) if view.task.schema else None
        try:
            value = as_answer(content, schema)
            await self._engine.resume(
                view.task.id, Answer(value), door=DOOR, message_id=name, message=message, principal=principal
            )
        except InputError as error:
            return words(error)
        except ValueError as error:
            return f"the answer doesn't fit; the wait is still open: {error}"
        return None
