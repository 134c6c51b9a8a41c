"""What clients that follow tasks themselves ask of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.engine import Engine
from agentflow.errors import InputError
from agentflow.principal import Principal
from agentflow_mcp.replies import answered
from agentflow_mcp.tasks import Task, task_of


async def get(engine: Engine, task_id: str, principal: Principal, *, forms: bool) -> Task:
    """Return a run as a task; raises NotFoundError where there is none, or it is somebody else's."""
    run = await engine.get(task_id, principal=principal)
    waits = [] if run.ended else await engine.waits(run.id, principal=principal)
    return task_of(run, waits, engine.core.env.now(), forms=forms)


async def update(engine: Engine, task_id: str, replies: Mapping[str, Any], principal: Principal) -> None:
    """Answer requests of a task. What was answered already, and what isn't there, is left out.

    Raises:
        NotFoundError: there is no such task.
        InputError: an answer doesn't fit; its request stays, the others are answered.
    """
    run = await engine.get(task_id, output=False, principal=principal)
    wrong = (await answered(engine, run, replies, principal)).wrong
    if wrong:
        told = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        raise InputError(f"an answer doesn't fit, and is asked for still: {told}", code="AF-WAIT-INVALID")


async def cancel(engine: Engine, task_id: str, principal: Principal) -> None:
    """Cancel a task's run; of one that has ended nothing changes. Raises NotFoundError where there is none."""
    run = await engine.get(task_id, output=False, principal=principal)
    await engine.cancel(run.id, principal=principal)
