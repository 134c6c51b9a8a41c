"""`wait_for_event`: parks until an event of a topic is published."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from agentflow.definition.models import Duration, Model
from agentflow.steps.contract import EventWait, Park, PromptContext, StepType
from agentflow.steps.fields import Name, Text
from agentflow.steps.unset import UNSET


class WaitForEventConfig(Model):
    """Which event ends the wait."""

    model_config = ConfigDict(populate_by_name=False)

    topic: Name
    """Topic of the event."""
    filter: dict[str, Any] | str | None = None
    """Values that the event's data must have; or, as text, a CEL condition over `event`, without references."""
    since: Duration | None = None
    """Events published up to this long before the run's start count too; default: from the run's start on."""
    shared: bool = False
    """Whether events of other owners in the same tenant count too, where their publisher may share them."""
    default: Any = None
    """The data that is taken when `timeout` passes; without it the step fails then."""
    message: Text = ""
    """What the run waits for, for people who look at it."""


def prompt(config: WaitForEventConfig, ctx: PromptContext) -> Park:
    """Park on the event. Its data is the step's result."""
    return Park(
        EventWait(
            topic=config.topic,
            filter=config.filter,
            since=config.since,
            shared=config.shared,
            default=config.default if "default" in config.model_fields_set else UNSET,
            message=config.message or f'Waits for an event of topic "{config.topic}"',
        )
    )


TYPES: tuple[StepType, ...] = (
    StepType(
        name="wait_for_event",
        config=WaitForEventConfig,
        summary="Parks until a matching event is published; earlier events of the run's time count.",
        prompt=prompt,
        whole_timeout=True,
    ),
)
