"""`publish`: publishes an event."""

from __future__ import annotations

from typing import Any

from agentflow.definition.models import Model
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.fields import Name


class PublishConfig(Model):
    """What is published."""

    topic: Name
    """Topic of the event."""
    data: Any = None
    """Data of the event, at most 64 KiB as JSON."""
    event_id: Name | None = None
    """Identity of the event: one identity is published once. Default: one for all attempts of this step."""


async def execute(config: PublishConfig, ctx: Context) -> Result:
    """Publish the event and tell how many waits it reached."""
    delivered = await ctx.publish(config.topic, config.data, config.event_id or ctx.idempotency_key)
    return Result({"delivered": delivered})


TYPES: tuple[StepType, ...] = (
    StepType(
        name="publish",
        config=PublishConfig,
        summary="Publishes an event to all runs that wait for it.",
        execute=execute,
    ),
)
