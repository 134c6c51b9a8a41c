"""What may be answered at a gate, and how values are shown there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentflow.data import is_array, is_object

LONGEST, MOST = 2_000, 100
"""Characters of a text, and entries of a list or a mapping, that are shown."""
_COMMENT = {"type": "string", "description": "Why; it is kept with the answer."}


def brief(value: Any) -> Any:
    """Return a value as people are shown it: long texts and lists are cut, and say so."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value):,} characters)"
    if is_array(value):
        rest = [f"… ({len(value) - MOST:,} more)"] if len(value) > MOST else []
        return [*(brief(item) for item in value[:MOST]), *rest]
    if is_object(value):
        kept = {name: brief(item) for name, item in list(value.items())[:MOST]}
        return kept if len(value) <= MOST else {**kept, "…": f"{len(value) - MOST:,} more"}
    return value


def approval_form(edit: Mapping[str, dict[str, Any]], now: Callable[[str], Any]) -> dict[str, Any]:
    """Return the schema of what may be said before something is done.

    Args:
        edit: what may be changed, name → JSON Schema; an empty one is made of what it is now.
        now: returns that.
    """
    choices = ["approve", "reject", *(["edit"] if edit else [])]
    properties: dict[str, Any] = {"decision": {"type": "string", "enum": choices}}
    if edit:
        properties["edit"] = {
            "type": "object", "description": "What is done otherwise.",
            "properties": {name: wanted or _like(now(name)) for name, wanted in edit.items()},
            "minProperties": 1, "additionalProperties": False,
        }  # fmt: skip
    return answer_form(properties, only_with("edit", "edit") if edit else None)


def answer_form(properties: dict[str, Any], *rules: dict[str, Any] | None) -> dict[str, Any]:
    """Return the schema of an answer with some properties, which has to name a decision."""
    told = [rule for rule in rules if rule is not None]
    schema: dict[str, Any] = {"type": "object", "properties": {**properties, "comment": _COMMENT}}
    return {**schema, "required": ["decision"], "additionalProperties": False, **({"allOf": told} if told else {})}


def only_with(decision: str, field: str) -> dict[str, Any]:
    """Return the rule that a field is given with one decision, and with no other."""
    return {
        "if": {"properties": {"decision": {"const": decision}}, "required": ["decision"]},
        "then": {"required": [field]},
        "else": {"properties": {field: False}},
    }


def _like(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    kind = (
        "string" if isinstance(value, str) else "array" if is_array(value) else "object" if is_object(value) else None
    )
    return {} if kind is None else {"type": kind}
