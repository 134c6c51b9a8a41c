"""Which inputs a workflow declares: one that it doesn't is mostly a typing error, and is refused at every door."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from agentflow.data import is_object
from agentflow.definition.models import Workflow
from agentflow.definition.suggest import meant

_ELSEWHERE = ("allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef", "dependentSchemas", "patternProperties")
"""Keywords that may name further keys."""
_NAMED = 8


class Undeclared(NamedTuple):
    """An input that a workflow doesn't declare."""

    message: str
    hint: str


def is_open(schema: Mapping[str, Any]) -> bool:
    """Tell whether an object may have keys that its schema doesn't name."""
    return (
        "properties" not in schema
        or bool(schema.get("additionalProperties"))
        or any(keyword in schema for keyword in _ELSEWHERE)
    )


def undeclared(workflow: Workflow, given: object, known: Collection[str] = ()) -> Undeclared | None:
    """Return what is wrong with the names of an input, if anything is.

    Args:
        workflow: what is started.
        given: the input.
        known: further names that may be there.
    """
    schema = workflow.input_schema
    if schema is None or not is_object(given) or is_open(schema):
        return None
    properties = schema["properties"]
    if not is_object(properties):
        return None
    names = [name for name in given if name not in properties and name not in known]
    if not names:
        return None
    what = "input" if len(names) == 1 else "inputs"
    told = ", ".join(f'"{name}"' for name in names[:_NAMED])
    message = f'workflow "{workflow.id}" declares no {what} {told}'
    free = [name for name in properties if name not in given]
    inputs = ", ".join(list(properties)[:_NAMED]) or "none"
    return Undeclared(message, meant(names[0], free) or meant(names[0], properties) or f"it declares: {inputs}")


def validator(schema: Mapping[str, Any]) -> Callable[[Any], list[str]]:
    """Return a function that lists what is wrong with a value by a JSON Schema."""
    from agentflow.definition.json_schema import errors_of, make_validator  # noqa: PLC0415  a heavy import

    made = make_validator(schema)
    return lambda value: errors_of(made, value)


def schema_allows_missing(schema: Mapping[str, Any] | None, path: Sequence[str | int]) -> bool:
    """Tell whether a value that a schema declares may be missing: a property on the way that isn't required."""
    current: Any = schema
    for part in path:
        if not is_object(current):
            return False
        if isinstance(part, int):
            current = current.get("items")
            continue
        properties = current.get("properties")
        if not is_object(properties) or part not in properties:
            return False
        if part not in (current.get("required") or ()):
            return True
        current = properties[part]
    return False
