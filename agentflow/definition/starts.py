"""How a workflow is started and what its runs share: triggers, entry points, shared keys."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from agentflow.definition.base import Model


class Trigger(Model):
    """What starts a run at an entry point; which fields it has depends on `type`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["manual", "schedule", "slash", "callback", "message", "webhook", "event", "tool"]
    """Kind of trigger."""


class EntryPoint(Model):
    """A named way to start a workflow in its middle."""

    id: str
    """Name of the entry point."""
    label: str | None = None
    """Name for people."""
    description: str | None = None
    """What starting here means."""
    starts_at: str | None = None
    """A top-level step; those before it are skipped. Default: the beginning."""
    preset_results: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Step id → the result that the skipped step is taken to have."""
    required_inputs: tuple[str, ...] = ()
    """Input keys that must be given here."""
    triggers: tuple[Trigger, ...] = ()
    """What starts a run here."""


class SharedKey(Model):
    """A shared key of a run: its first value and how updates are folded into it."""

    default: Any = None
    """Value before the first update."""
    reducer: str = "last"
    """`append`, `add`, `union`, `merge`, `last`, or `module:function` taking (old, new)."""


class Checkpointing(Model):
    """How distri's files say where state is kept: accepted, kept and shown."""

    type: Literal["internal", "external"] = "internal"
    """Kind of checkpoint."""
    ttl_secs: int | None = None
    """How long finished runs are kept."""
    tool_name: str | None = None
    """Tool of an external checkpoint."""
