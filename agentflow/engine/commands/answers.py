"""Answering waits: one path for all doors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentflow.data import decode, encode, is_object, salvaged
from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.definition.misspelt import misspelt
from agentflow.definition.plain_schema import masked
from agentflow.engine.asked import asked_for
from agentflow.engine.finding import not_an_id, task_of, unknown_wait
from agentflow.engine.gate import ANSWER, Gate
from agentflow.engine.models import Connected, Decline, Reply, ToolFailure
from agentflow.errors import AgentflowError, ConflictError, InputError, StoreError
from agentflow.faultpoints import reach
from agentflow.principal import Principal
from agentflow.store.common import OPEN, closing_state
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, AnswerRow
from agentflow.store.views import TaskView


async def resume(
    store: Store, task_id: str, answer: Reply, principal: Principal, *, by: str, door: str,
    message_id: str | None, message: Mapping[str, Any] | None, at: float, gate: Gate,
    carry_out: Callable[[int, str, AnswerRow], Awaitable[bool]],
) -> tuple[TaskView, Sequence[str | None]]:  # fmt: skip
    """Answer a wait.

    Args:
        store: where it is.
        task_id: its id, or its run's.
        answer: the answer.
        principal: who answers.
        by: who answers.
        door: through which door.
        message_id: the same message again is the same answer.
        message: what brought it.
        at: time of the answer.
        gate: lets the answer in.
        carry_out: commits the answer together with what follows from it, where this process can have the tree.

    Returns:
        The wait as it is then, and who has to be told of the command that was left: a holder, or None for nobody known.

    Raises:
        NotFoundError, InputError, ConflictError: see `Engine.resume`.
    """
    if not isinstance(answer, Reply):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        what = "a wait is answered with Answer(…), Decline(…) or ToolFailure(…)"
        raise AgentflowError(what, code="AF-USAGE", hint='engine.resume(wait.id, Answer({"approved": True}))')
    if not isinstance(task_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  the same
        raise not_an_id(task_id, "a wait")
    gate.encoded([by, door, message_id], ANSWER)
    view = await find(store, task_id, principal, message_id)
    payload = check(view, answer, gate)
    kept = None if message is None else gate.encoded(dict(message), ANSWER)
    task = view.task
    row = AnswerRow(task.id, task.run, task.n, task.step, payload, by, door, message_id, at, kept)
    trouble: StoreError | None = None
    try:
        if task.state in OPEN and await carry_out(view.root, view.agent, row):
            reach("after-answer")
            return _answered(view, row), ()
    except StoreError as error:
        trouble = error  # this process can't go on with the run; the answer is kept for one that can
    answered = await store.answer(task.id, payload, by=by, door=door, message_id=message_id, at=at, message=kept)
    reach("after-answer")
    if trouble is not None:
        raise trouble
    if answered.outcome == "unknown" or answered.task is None:
        raise unknown_wait(task_id)
    if answered.outcome == "closed":
        raise ConflictError(
            f'the wait of step "{answered.task.task.step}" is closed: nobody had answered it', code="AF-WAIT-CLOSED"
        )
    if answered.outcome == "conflict":
        answer = _masked(answered.task)
        given = gate.text(encode(_plain(answer)).decode(), 200)
        raise ConflictError(
            f'"{answered.task.task.step}" was answered by {answered.task.by} ({answered.task.door}): {given}',
            code="AF-WAIT-CONFLICT",
            data={"answer": answer, "by": answered.task.by, "at": answered.task.answered_at},
        )
    return answered.task, (answered.holder,)


def _answered(view: TaskView, row: AnswerRow) -> TaskView:
    """Return a wait as its answer has left it."""
    return view._replace(
        task=view.task._replace(state=closing_state(row.answer), updated_at=row.at),
        answer=row.answer, by=row.by, door=row.door, message_id=row.message_id, answered_at=row.at,
        generation=view.generation + 1,
    )  # fmt: skip


def _masked(view: TaskView) -> Any:
    """Return the answer of a wait without what is never shown of it."""
    answer = view.answer
    if view.task.schema is None or not is_object(answer) or "value" not in answer:
        return answer
    return {**answer, "value": masked(decode(view.task.schema), answer["value"])}


def _plain(answer: Any) -> Any:
    return answer.get("value", answer) if isinstance(answer, dict) else answer  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  plain JSON


async def _asked(store: Store, turn: TaskView) -> TaskView:
    """Return the wait for what an agent asks in its turn."""
    waits = await store.list_tasks(run_id=turn.run_id)
    found = next((wait for wait in waits if wait.task.n == turn.task.n), None)
    if found is None:
        raise ConflictError(f"the agent waits for no answer: its turn is {turn.task.state}", code="AF-RUN-NOT-WAITING")
    return found


async def find(store: Store, task_id: str, principal: Principal, message_id: str | None = None) -> TaskView:
    """Return the wait that an id names: its own, or that of a run with exactly one open wait.

    A message that has answered a wait of the run's tree is about that one for ever, whatever is open by now.
    """
    view = await task_of(store, task_id, principal)
    if view is not None:
        taken = await store.answered(view.root, message_id) if message_id is not None else None
        return taken or (await _asked(store, view) if view.task.kind == "agent" else view)
    run = await store.get_run(task_id)
    if run is None or not principal.owns(run.tenant, run.owner):
        raise unknown_wait(task_id)
    taken = await store.answered(run.root, message_id) if message_id is not None else None
    if taken is not None:
        return taken
    waits = await store.list_tasks(run_id=task_id, tree=True)
    if len(waits) == 1:
        return waits[0]
    if not waits:
        state = f"it is {run.state}" if run.state in TERMINAL else "none is open"
        raise ConflictError(f"the run waits for no answer: {state}", code="AF-RUN-NOT-WAITING")
    names = ", ".join(f"{view.task.step} ({view.task.id})" for view in waits[:5])
    raise ConflictError(f"the run waits for {len(waits)} answers: {names}", code="AF-WAIT-AMBIGUOUS")


def check(view: TaskView, answer: Reply, gate: Gate) -> dict[str, Any]:
    """Return the answer as it is stored; raises InputError when it doesn't fit."""
    task = view.task
    if task.kind == "event" and not isinstance(answer, Decline):
        hint = "publish the event, or decline: then the step fails"
        raise InputError(f'"{task.step}" waits for an event, not for an answer', code="AF-WAIT-INVALID", hint=hint)
    if isinstance(answer, Decline):
        return {"decline": gate.data(answer.reason, ANSWER)}
    connection = asked_for(salvaged(task.details or b"", {})) if task.kind == "auth" else None
    if isinstance(answer, Connected) and connection is not None:
        return {"value": {"connected": connection}}
    if connection is not None or isinstance(answer, Connected):
        raise _no_answer(task.step, connection, task.id)
    if isinstance(answer, ToolFailure):
        if task.kind != "tool":
            raise InputError(f'"{task.step}" waits for an answer, not for a tool', code="AF-WAIT-INVALID")
        return {"failure": gate.data(answer.message, ANSWER)}
    value = gate.data(answer.value, ANSWER)
    if task.schema is not None:
        problems = errors_of(_validator(task.schema), value)
        if problems:
            schema = decode(task.schema)
            problems += misspelt(schema, value)
            raise InputError(
                "the answer doesn't fit; the wait is still open",
                code="AF-WAIT-INVALID",
                why="\n".join(problems),
                hint=f"agentflow waits show {task.id[-6:]} prints the schema and an example answer",
                data={"problems": problems, "schema": schema},
            )
    return {"value": value}


def _no_answer(step: str, connection: str | None, wait: str) -> InputError:
    """Return the error of what was given as an answer to a wait that only ends when somebody signs in."""
    return InputError(
        f'"{step}" waits until somebody has signed in to {connection or "something else"}: no answer helps',
        code="AF-WAIT-INVALID", why="the wait is still open",
        hint=f"agentflow waits open {wait[-6:]} opens the page where that is done; it can be declined, too",
    )  # fmt: skip


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    return make_validator(decode(schema))
