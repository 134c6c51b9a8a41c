"""What a step can wait for: an answer, a time, an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agentflow.definition.json_words import is_short
from agentflow.steps.unset import UNSET

WaitKind = Literal["input", "event", "tool", "auth", "operator"]


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that somebody has to give: it becomes a child task in `input-required` (or `auth-required`)."""

    kind: WaitKind
    message: str
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer; made of a type that has one, or of the short form, `{"approved": "boolean"}`."""
    timeout: float | None = None
    """Seconds until `default` is taken, or the step fails."""
    default: Any = UNSET
    assignees: tuple[str, ...] = ()
    """Principals who may see and answer it; empty: the run's owner."""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """For doors: a tool wait's `tool_name` and `input`, a reply's buttons."""

    if TYPE_CHECKING:  # what it is made of

        def __init__(
            self, kind: WaitKind, message: str, schema: Mapping[str, Any] | type[Any] | None = None,
            timeout: float | None = None, default: Any = UNSET, assignees: tuple[str, ...] = (),
            details: Mapping[str, Any] = ...,
        ) -> None: ...  # fmt: skip

    def __post_init__(self) -> None:
        """Make a JSON Schema of what else a schema may be given as."""
        schema: Any = self.schema
        if schema is not None and (not isinstance(schema, Mapping) or is_short(schema)):  # pyright: ignore[reportUnknownArgumentType]  whatever was given
            from agentflow.steps.building import plain_schema  # noqa: PLC0415  it imports the definition's models

            object.__setattr__(self, "schema", plain_schema(schema, "a wait"))


@dataclass(frozen=True, slots=True)
class Timer:
    """A time to wait for."""

    due: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class EventWait:
    """A published event to wait for."""

    topic: str
    filter: Mapping[str, Any] | str | None = None
    """Values that the event's data must have, or a CEL condition over `event`."""
    since: float | None = None
    """Events published up to this many seconds before the run's start count too; None: from the run's start."""
    timeout: float | None = None
    default: Any = UNSET
    message: str = ""
    shared: bool = False
    """Events of other owners in the same tenant count too, where their publisher may share them."""
