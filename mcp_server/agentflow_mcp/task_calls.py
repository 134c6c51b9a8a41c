"""What clients that follow tasks themselves ask of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.errors import InputError
from agentflow_mcp.desk import Desk
from agentflow_mcp.tasks import Task, task_of


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
    wrong = (await desk.answered(run, replies)).wrong
    if wrong:
        told = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        raise InputError(f"an answer doesn't fit, and is asked for still: {told}", code="AF-WAIT-INVALID")


async def cancel(desk: Desk, task_id: str) -> None:
    """Cancel a task's run; of one that has ended nothing changes. Raises NotFoundError where there is none."""
    run = await desk.engine.get(task_id, output=False, principal=desk.principal)
    await desk.engine.cancel(run.id, principal=desk.principal)
