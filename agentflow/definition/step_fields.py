"""The fields that steps of all types have, and what people write instead of them."""

from __future__ import annotations

from agentflow.definition.field_names import written
from agentflow.definition.models import Step

COMMON: dict[str, str] = {
    written(name, info): name
    for name, info in Step.model_fields.items()
    if name not in ("id", "type", "config", "bodies")
}
"""Name in YAML → name in Python, of all common fields but `id` and `type`."""

HOOKS = ("on_success", "on_failure", "finally")
CONTAINER_ONLY = frozenset({*HOOKS, "on_error_siblings"})

OFTEN_MEANT: dict[str, tuple[str, ...]] = {
    "kind": ("type",),
    "uses": ("type",),
    "needs": ("depends_on",),
    "after": ("depends_on",),
    "when": ("if",),
    "condition": ("if",),
    "input": ("with",),
    "inputs": ("input", "with"),
    "args": ("with", "input"),
    "retries": ("retry",),
    "name": ("label",),
    "title": ("label",),
    "foreach": ("for_each",),
    "loop": ("for_each",),
    "timeout_secs": ("timeout",),
    "agent_id": ("agent",),
    "tool": ("tool_name",),
    "cmd": ("run", "command"),
    "script": ("run",),
    "uri": ("url",),
    "do": ("steps",),
    "until": ("timeout",),
    "prompt": ("message",),
}
"""A field that people expect → what it is called here, where the type has it."""


def suggestion(name: str, known: list[str]) -> str | None:
    """Return the known field that a wrong one stands for elsewhere, or None."""
    if name.endswith("_") and name[:-1] in known:
        return name[:-1]
    return next((meant for meant in OFTEN_MEANT.get(name, ()) if meant in known), None)
