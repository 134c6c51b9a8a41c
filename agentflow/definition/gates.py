"""Gates of a step: what somebody has to approve before it begins, or to accept after it has worked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agentflow.data import is_array, is_object
from agentflow.definition.base import Duration, Model
from agentflow.definition.json_words import is_short, is_type
from agentflow.definition.short_schema import widened

OnReject = Literal["fail", "skip", "continue"]


class _Gate(Model):
    """What both gates have."""

    message: str | None = None
    """What is asked; may hold templates. Default: the step's name."""
    if_: Any = Field(default=None, validation_alias="if", serialization_alias="if")
    """Condition: asks only when it is true."""
    on_reject: OnReject = "fail"
    """What a rejection does: it fails the step (then `on_error` applies), skips it, or goes on as after a failure."""
    timeout: Duration | None = None
    """How long it waits for an answer."""
    assignees: tuple[str, ...] = ()
    """Who may answer it, beside the run's owner."""
    human_only: bool = True
    """A model doesn't answer it over MCP; a person does, by a page."""


class Approve(_Gate):
    """Asks somebody before the step's first attempt."""

    default: Literal["approve", "reject"] = "reject"
    """What counts when nobody answers in time."""
    edit: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    """Fields of the step, or of its `input`, that who approves may change: name → JSON Schema, or a type."""
    each_attempt: bool = False
    """Asks before each attempt, not only before the first."""


class Review(_Gate):
    """Asks somebody whether what the step has given is good."""

    default: Literal["accept", "reject"] = "reject"
    """What counts when nobody answers in time."""
    edit: bool = False
    """Who reviews may change the result."""
    schema_: dict[str, Any] | None = Field(default=None, validation_alias="schema", serialization_alias="schema")
    """JSON Schema of a changed result, or its short form."""
    max_rounds: int = Field(default=3, ge=0)
    """How often the step may be sent back; it reads what was said as `{run.feedback}`."""


def short_gate(value: Any) -> Any:
    """Widen `approve: true`, a text, which is the message, names that may be edited, and the short form of a schema."""
    if value is True:
        return {}
    if value is False:
        return None
    if isinstance(value, str):
        return {"message": value}
    if not is_object(value):
        return value
    widened_gate = dict(value)
    edit, schema = value.get("edit"), value.get("schema")
    if is_array(edit):
        widened_gate["edit"] = {name: {} for name in edit if isinstance(name, str)}
    elif is_object(edit):
        widened_gate["edit"] = {name: {"type": one} if is_type(one) else one for name, one in edit.items()}
    if is_object(schema) and is_short(schema):
        made, misread = widened(schema)
        widened_gate["schema"] = schema if misread else made
    return widened_gate if widened_gate != value else value
