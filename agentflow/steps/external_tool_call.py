"""`external_tool_call`: asks whoever holds a tool to run it and to send the result."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from agentflow.definition.models import Model
from agentflow.steps.contract import Park, PromptContext, StepType, Wait
from agentflow.steps.fields import Name, Text
from agentflow.steps.unset import UNSET


class ExternalToolCallConfig(Model):
    """Which tool is to be run, and with what."""

    model_config = ConfigDict(populate_by_name=False)

    tool_name: Name
    """Name of the tool, as its holder knows it."""
    input: Any = Field(default_factory=dict[str, Any])
    """What the tool is given."""
    message: Text = ""
    """What is asked, for people; default: the tool's name in a sentence."""
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema of the result, or its short form: names with their types, as `input` has it. Without: any value."""
    default: Any = None
    """The result that is taken when `timeout` passes; without one the step fails then."""
    assignees: tuple[Name, ...] = ()
    """Who may see it and send the result besides the run's owner."""


def prompt(config: ExternalToolCallConfig, ctx: PromptContext) -> Park:
    """Park on the tool's result, which is the step's result."""
    return Park(
        Wait(
            kind="tool",
            message=config.message or f'Run tool "{config.tool_name}"',
            schema=config.schema_,
            default=config.default if "default" in config.model_fields_set else UNSET,
            assignees=config.assignees,
            details={"tool_name": config.tool_name, "input": config.input},
        )
    )


TYPES: tuple[StepType, ...] = (
    StepType(
        name="external_tool_call",
        config=ExternalToolCallConfig,
        summary="Parks and asks whoever holds a tool to run it and to send the result.",
        prompt=prompt,
        takes_input=True,
        whole_timeout=True,
    ),
)
