"""`wait_for_input`: parks until somebody answers."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from agentflow.definition.models import Model
from agentflow.steps.contract import Park, PromptContext, StepType, Wait
from agentflow.steps.fields import Name, Text
from agentflow.steps.unset import UNSET


class WaitForInputConfig(Model):
    """What is asked, of whom, and what counts as an answer."""

    model_config = ConfigDict(populate_by_name=False)

    message: Text
    """The question, as people and agents read it."""
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema of the answer, or its short form: names with their types, as `input` has it. Without: any value."""
    default: Any = None
    """The answer that is taken when `timeout` passes; without one the step fails then."""
    assignees: tuple[Name, ...] = ()
    """Who may see and answer it besides the run's owner."""
    human_only: bool = False
    """Only a person answers it: over MCP never the model, but whoever opens the page whose address is given."""


def prompt(config: WaitForInputConfig, ctx: PromptContext) -> Park:
    """Park on the question. The answer is the step's result."""
    return Park(
        Wait(
            kind="input",
            message=config.message,
            schema=config.schema_,
            default=config.default if "default" in config.model_fields_set else UNSET,
            assignees=config.assignees,
            details={"human_only": True} if config.human_only else {},
        )
    )


TYPES: tuple[StepType, ...] = (
    StepType(
        name="wait_for_input",
        config=WaitForInputConfig,
        summary="Parks until somebody answers, and checks the answer against a schema.",
        prompt=prompt,
        whole_timeout=True,
    ),
)
