"""`checkpoint`: a named point of a run."""

from __future__ import annotations

from agentflow.definition.models import Model
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.fields import Text


class CheckpointConfig(Model):
    """What the point is called."""

    message: Text
    """What has been reached; also becomes the run's status message."""


async def execute(config: CheckpointConfig, ctx: Context) -> Result:
    """Record the point. The run goes on: a checkpoint never parks."""
    ctx.status(config.message)
    return Result({"message": config.message})


TYPES: tuple[StepType, ...] = (
    StepType(
        name="checkpoint",
        config=CheckpointConfig,
        summary="Records a named point and sets the run's status message.",
        execute=execute,
    ),
)
