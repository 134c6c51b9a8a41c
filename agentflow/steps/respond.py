"""`respond`: answers the webhook that started the run and waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from agentflow.definition.models import Model
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.fields import Name, Text


class RespondConfig(Model):
    """The answer."""

    body: Any = None
    """Body of the answer: text goes as it is, everything else as JSON."""
    status: int = Field(default=200, ge=100, le=599)
    """HTTP status of the answer."""
    headers: dict[Name, Text] = Field(default_factory=dict[str, str])
    """Headers of the answer."""


async def execute(config: RespondConfig, ctx: Context) -> Result:
    """Send the answer as a message of the run; the webhook's door turns it into its response."""
    parts: list[Mapping[str, Any]] = []
    if config.body is not None:
        parts.append({"text": config.body} if isinstance(config.body, str) else {"data": config.body})
    ctx.message(parts, {"kind": "respond", "status": config.status, "headers": dict(config.headers)})
    return Result({})


TYPES: tuple[StepType, ...] = (
    StepType(
        name="respond",
        config=RespondConfig,
        summary="Answers the webhook that started the run.",
        execute=execute,
    ),
)
