"""Gates of a step: what somebody has to approve before it begins, or to accept after it has worked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agentflow.definition.base import Duration, Model

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
    """Fields of the step, or of its `input`, that who approves may change: name → JSON Schema."""
    each_attempt: bool = False
    """Asks before each attempt, not only before the first."""


class Review(_Gate):
    """Asks somebody whether what the step has given is good."""

    default: Literal["accept", "reject"] = "reject"
    """What counts when nobody answers in time."""
    edit: bool = False
    """Who reviews may change the result."""
    schema_: dict[str, Any] | None = Field(default=None, validation_alias="schema", serialization_alias="schema")
    """JSON Schema of a changed result."""
    max_rounds: int = Field(default=3, ge=0)
    """How often the step may be sent back; it reads what was said as `{run.feedback}`."""


def short_gate(value: Any) -> Any:
    """Widen `approve: true`, and a text, which is the message; names that may be edited become a mapping."""
    if value is True:
        return {}
    if value is False:
        return None
    if isinstance(value, str):
        return {"message": value}
    if isinstance(value, dict) and isinstance(value.get("edit"), list):  # pyright: ignore[reportUnknownMemberType]  whatever was written
        return {**value, "edit": {name: {} for name in value["edit"] if isinstance(name, str)}}  # pyright: ignore[reportUnknownVariableType]  the same
    return value  # pyright: ignore[reportUnknownVariableType]  the same
