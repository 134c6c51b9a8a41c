"""`script`: a command with arguments, or a shell text whose values come by environment variables."""

from __future__ import annotations

from typing import Any

from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.script_fields import ScriptConfig


async def execute(config: ScriptConfig, ctx: Context) -> Result:
    """Run the script, and leave no process of it behind."""
    from agentflow.steps.process import run_script  # noqa: PLC0415  needed where scripts run only

    return Result(await run_script(config, ctx))


def reap(state: Any) -> None:
    """End what an attempt of a dead host left running."""
    from agentflow.steps.process import reap as end  # noqa: PLC0415  as above

    end(state)


TYPES: tuple[StepType, ...] = (
    StepType(
        name="script",
        config=ScriptConfig,
        summary="Runs a command or a shell text; stdout is the result.",
        execute=execute,
        skills=("native:shell",),
        raw=("run",),
        outbound=("env",),
        timeout=60.0,
        unsafe=True,
        reap=reap,
    ),
)
