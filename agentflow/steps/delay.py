"""`delay`: a durable sleep."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator

from agentflow.definition.models import Duration, Model
from agentflow.steps.contract import Park, PromptContext, Result, StepType, Timer
from agentflow.steps.fields import Time


class DelayConfig(Model):
    """How long, or until when: exactly one of the two."""

    model_config = ConfigDict(populate_by_name=False)

    for_: Duration | None = Field(default=None, alias="for")
    """How long to sleep, counted from the step's turn."""
    until: Time | None = None
    """When to go on; a time in the past goes on at once."""

    @model_validator(mode="after")
    def _one(self) -> DelayConfig:
        if (self.for_ is None) == (self.until is None):
            raise ValueError("give either for or until")
        return self


def prompt(config: DelayConfig, ctx: PromptContext) -> Park | Result:
    """Park on a timer, or be done when its time has passed."""
    now = ctx.now()
    due = config.until if config.until is not None else now + (config.for_ or 0.0)
    return Park(Timer(due), state={}) if due > now else Result({})


TYPES: tuple[StepType, ...] = (
    StepType(
        name="delay",
        config=DelayConfig,
        summary="Sleeps for a time or until a time, across restarts.",
        prompt=prompt,
        whole_timeout=True,
    ),
)
