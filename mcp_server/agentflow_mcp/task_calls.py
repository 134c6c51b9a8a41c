"""What clients that follow tasks themselves ask of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow_mcp.caller import Caller
from agentflow_mcp.following import Follower
from agentflow_mcp.replies import answered
from agentflow_mcp.tasks import Task, task_of


async def get(follower: Follower, task_id: str, caller: Caller) -> Task:
    """Return a run as a task; raises NotFoundError where there is none, or it is somebody else's."""
    engine = follower.engine
    run = await engine.get(task_id, principal=caller.principal)
    waits = [] if run.ended else await engine.waits(run.id, principal=caller.principal)
    return task_of(run, waits, await follower.questions.of(waits, caller), engine.core.env.now())


async def update(follower: Follower, task_id: str, replies: Mapping[str, Any], caller: Caller) -> None:
    """Answer requests of a task. What was answered already, and what isn't there, is left out.

    An answer that doesn't fit is asked for again by another key, with what was wrong.

    Raises:
        NotFoundError: there is no such task.
        InputError: one is no reply; then none is taken.
    """
    run = await follower.engine.get(task_id, output=False, principal=caller.principal)
    await answered(follower.engine, follower.questions, run, replies, caller)


async def cancel(follower: Follower, task_id: str, caller: Caller) -> None:
    """Cancel a task's run; of one that has ended nothing changes. Raises NotFoundError where there is none."""
    run = await follower.engine.get(task_id, output=False, principal=caller.principal)
    await follower.engine.cancel(run.id, principal=caller.principal)
