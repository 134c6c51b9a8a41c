"""What clients that follow tasks themselves ask of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.engine import Answer, Decline
from agentflow.errors import ConflictError, InputError
from agentflow_mcp.desk import DOOR, Desk
from agentflow_mcp.tasks import Task, requests_of, task_of


async def get(desk: Desk, task_id: str, *, forms: bool) -> Task:
    """Return a run as a task; raises NotFoundError where there is none, or it is somebody else's."""
    run = await desk.engine.get(task_id, principal=desk.principal)
    waits = [] if run.ended else await desk.engine.waits(run.id, principal=desk.principal)
    return task_of(run, waits, desk.engine.core.env.now(), forms=forms)


async def update(desk: Desk, task_id: str, replies: Mapping[str, Any]) -> None:
    """Answer requests of a task. What was answered already, and what isn't there, is left out.

    Raises:
        NotFoundError: there is no such task.
        InputError: an answer doesn't fit; its request stays, the others are answered.
    """
    run = await desk.engine.get(task_id, output=False, principal=desk.principal)
    asked = requests_of(await desk.engine.waits(run.id, principal=desk.principal))
    wrong: list[str] = []
    for name in asked.keys() & replies.keys():
        reply = _reply(replies[name])
        try:
            if reply is not None:
                await desk.engine.resume(name, reply, door=DOOR, principal=desk.principal)
        except InputError as error:
            wrong.append(f"{name}: {error.why or error.what}")
        except ConflictError:  # somebody else was first
            continue
    if wrong:
        raise InputError(f"an answer doesn't fit, and is asked for still: {'; '.join(wrong)}", code="AF-WAIT-INVALID")


def _reply(reply: object) -> Answer | Decline | None:
    """Return what a form's reply says; None where its user said nothing.

    Raises:
        InputError: it is no reply of a form.
    """
    action = reply.get("action") if is_object(reply) else None
    if is_object(reply) and action == "accept":
        return Answer(reply.get("content") or {})
    if action == "decline":
        return Decline("declined by the user")
    if action == "cancel":
        return None
    raise InputError("a reply has the action accept, decline or cancel")


async def cancel(desk: Desk, task_id: str) -> None:
    """Cancel a task's run; of one that has ended nothing changes. Raises NotFoundError where there is none."""
    run = await desk.engine.get(task_id, output=False, principal=desk.principal)
    await desk.engine.cancel(run.id, principal=desk.principal)
