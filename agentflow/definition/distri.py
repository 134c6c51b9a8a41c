"""distri's JSON: steps with a nested `kind`, agent files, scripts whose shell text holds references."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults
from agentflow.definition.pointers import join

RUN_FIELDS = frozenset(
    {"status", "result", "error", "started_at", "completed_at", "wait_task_id", "created_at", "updated_at"}
)
"""Fields of steps in old files that are a run's."""
DEFINITION_RUN_FIELDS = frozenset(
    {"status", "current_step", "context", "notes", "step_runs", "created_at", "updated_at", "workflow_type"}
)
AGENT_FIELDS = frozenset(
    {"agent_type", "name", "description", "version", "definition", "input_schema", "triggers", "channels"}
    | {"connections", "tools"}
)
_RENAMED = {"timeout_secs": "timeout", "agent_id": "agent"}


def is_agent_file(data: object) -> bool:
    """Tell whether a document is one of distri's agent files."""
    return is_object(data) and data.get("agent_type") == "workflow_agent" and "definition" in data


def is_distri(data: object) -> bool:
    """Tell whether a definition is written as distri writes it: a step has a `kind` with a `type`."""
    if not is_object(data):
        return False
    steps = data.get("steps")
    return is_array(steps) and any(
        is_object(step) and is_object(step.get("kind")) and "type" in step["kind"] for step in steps
    )


def flatten(data: dict[str, Any], pointer: str, faults: Faults) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a distri step as a flat one, and the pointers of fields that stand elsewhere."""
    flat: dict[str, Any] = {}
    moved: dict[str, str] = {}
    for name, value in data.items():
        if name == "kind" or name in RUN_FIELDS or value is None:
            continue
        if name == "input":
            flat["with"] = value
            moved["with"] = join(pointer, "input")
        elif (name, value) in (("depends_on", []), ("execution", "sequential")):  # written-out defaults
            continue
        else:
            flat[name] = value
    kind: Any = data.get("kind")
    if is_object(kind):
        inner, places = flatten_kind(kind, join(pointer, "kind"), faults, str(data.get("id")), data.get("input"))
        flat.update(inner)
        moved.update(places)
    return flat, moved


def flatten_kind(
    kind: dict[str, Any], pointer: str, faults: Faults, step_id: str, values: Any = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of a `kind` under our names, and their pointers.

    Args:
        kind: the mapping with `type`.
        pointer: where it stands.
        faults: gets what is wrong.
        step_id: the step's id, for messages.
        values: the step's `input`, whose keys are names in templates.
    """
    name = kind.get("type")
    flat: dict[str, Any] = {}
    moved: dict[str, str] = {}
    for field, value in kind.items():
        if value is None or (name == "tool_call" and (field == "agent_id" or (field == "input" and value == {}))):
            continue
        ours = _RENAMED.get(field, field)
        flat[ours] = value
        moved[ours] = join(pointer, field)
    if name == "script":
        names = frozenset(values) if is_object(values) else frozenset[str]()
        from agentflow.definition.shell_text import rewrite  # noqa: PLC0415  reads shell texts, which few files have

        rewrite(flat, moved, faults, step_id, names)
    return flat, moved
