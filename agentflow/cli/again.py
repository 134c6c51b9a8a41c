"""What a retry of a run would do, and the command that does it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from agentflow.cli.desk import Desk
from agentflow.engine.models import RetryPlan, Run
from agentflow.errors import AgentflowError

if TYPE_CHECKING:
    from agentflow.cli.session import Session


async def retry_plan(session: Session, run: Run) -> RetryPlan | None:
    """Return what a retry of an ended run would do; None where there is none, as of a run in a store of memory."""
    if not session.project.lasts:
        return None
    try:
        plan = await session.engine.retry(run.id, dry_run=True)
    except AgentflowError:
        return None
    return plan if isinstance(plan, RetryPlan) else None


def retry_command(desk: Desk, run: Run, plan: RetryPlan) -> str:
    """Return the command of a retry, from where it would begin by itself."""
    start = f" --from {quote(plan.from_step)}" if plan.from_step else ""
    return desk.command(f"runs retry {desk.short(run.id)}{start}")
