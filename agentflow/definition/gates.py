"""Gates of a step: what somebody has to approve before it begins, or to accept after it has worked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import Field

from agentflow.data import is_array, is_object
from agentflow.definition.base import Duration, Model
from agentflow.definition.json_words import is_short, is_type
from agentflow.definition.short_schema import widened

CALLED = frozenset({"arguments", "tool", "server"})
"""What messages and conditions read that are about a call of a tool."""
OnReject = Literal["fail", "skip", "continue"]


class _Gate(Model):
    """What both gates have."""

    message: str | None = None
    """What is asked; may hold templates. Default: the step's name."""
    if_: Any = Field(default=None, validation_alias="if", serialization_alias="if")
    """Condition: asks only when it is true."""
    timeout: Duration | None = None
    """How long it waits for an answer."""
    assignees: tuple[str, ...] = ()
    """Who may answer it, beside the run's owner."""
    human_only: bool = True
    """A model doesn't answer it over MCP; a person does, by a page."""


class Approve(_Gate):
    """Asks somebody before the step's first attempt."""

    on_reject: OnReject = "fail"
    """What a rejection does: it fails the step (then `on_error` applies), skips it, or goes on as after a failure."""
    default: Literal["approve", "reject"] = "reject"
    """What counts when nobody answers in time."""
    edit: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    """Fields of the step, or of its `input`, that who approves may change: name → JSON Schema, or a type."""
    each_attempt: bool = False
    """Asks before each attempt, not only before the first."""


class ApproveCall(_Gate):
    """Asks somebody before a tool is called; message and condition read `{arguments.…}`, `{tool}` and `{server}`."""

    on_reject: Literal["fail", "skip", "continue", "tell"] = "fail"
    """What a rejection does: as of a step; `tell`: the call fails, and who has made it reads why and goes on."""
    default: Literal["approve", "reject"] = "reject"
    """What counts when nobody answers in time."""
    edit: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    """Arguments that who approves may change: name → JSON Schema."""
    each_attempt: bool = False
    """Asks again in each attempt of the step that calls it."""


class Review(_Gate):
    """Asks somebody whether what the step has given is good."""

    on_reject: OnReject = "fail"
    """What a rejection does: it fails the step (then `on_error` applies), skips it, or goes on as after a failure."""
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


def calls_one_of(kind: str, config: Mapping[str, Any], tools: Collection[str]) -> bool:
    """Tell whether a step's fields name one of some tools, or of some servers.

    Args:
        kind: its type.
        config: its fields.
        tools: names of tools and servers.
    """
    if kind == "tool_call":
        return config.get("tool_name") in tools or config.get("server") in tools
    given = config.get("tools") if kind == "agent_run" else None
    return isinstance(given, list | tuple) and any(name in tools for name in given)  # pyright: ignore[reportUnknownVariableType]  names
