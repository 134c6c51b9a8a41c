"""Short forms: `retry: 3`, `requires: native:shell`, `for_each: "{input.files}"`, `input: {url: string}`."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults
from agentflow.definition.pointers import join
from agentflow.definition.suggest import meant

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null", "any")


def retry(value: Any) -> Any:
    """Widen `retry: 3` (attempts), `retry: true` (the defaults) and `retry: false` (one attempt)."""
    if value is True:
        return {}
    if value is False:
        return {"max_attempts": 1}
    return {"max_attempts": value} if isinstance(value, int) else value


def requires(value: Any) -> Any:
    """Widen one requirement to a list, and names to mappings."""
    several: list[Any] = value if is_array(value) else [value] if isinstance(value, str) or is_object(value) else []
    if not several and not is_array(value):
        return value
    return [{"skill": one} if isinstance(one, str) else one for one in several]


def for_each(value: Any) -> Any:
    """Widen a template or a list to the mapping."""
    return {"in": value} if isinstance(value, str) or is_array(value) else value


def is_whole_schema(value: dict[str, Any]) -> bool:
    """Tell whether what stands under `input` is a JSON Schema and no short form."""
    return value.get("type") == "object" and (is_object(value.get("properties")) or len(value) == 1)


def input_schema(value: dict[str, Any], faults: Faults, pointer: str, owner: str) -> dict[str, Any]:
    """Turn `{url: string, count: {type: integer, default: 3}}` into a JSON Schema.

    A key is required unless it has a default or its type ends in `?`.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, given in value.items():
        at = join(pointer, name)
        if not isinstance(given, str) and not is_object(given):
            faults.wrong_type(f'input "{name}" of {owner}', "a type or a mapping", given, at)
            continue
        schema: dict[str, Any] = {"type": given} if isinstance(given, str) else dict(given)
        optional = "default" in schema
        kind = schema.get("type")
        if isinstance(kind, str):
            optional = optional or kind.endswith("?")
            kind = kind.rstrip("?").strip()
            if kind not in TYPES:
                place = at if isinstance(given, str) else join(at, "type")
                faults.add(
                    "AF-FIELD-VALUE",
                    f'input "{name}" of {owner} has no known type: "{kind}"',
                    place,
                    label=meant(kind, TYPES),
                    hint=f"types are {', '.join(TYPES)}; an ending `?` makes it optional",
                )
                kind = "any"
            if kind == "any":
                del schema["type"]
            else:
                schema["type"] = kind
        properties[name] = schema
        if not optional:
            required.append(name)
    result: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        result["required"] = required
    return result
