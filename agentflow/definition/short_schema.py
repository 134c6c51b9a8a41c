"""The short form of a schema of inputs: `{url: string, count: {type: integer, default: 3}, note: string?}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentflow.data import is_object

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null", "any", "file")
_FILE: Mapping[str, Any] = {
    "type": "object",
    "format": "file",
    "properties": {
        "url": {"type": "string"},
        "raw": {"type": "string", "contentEncoding": "base64"},
        "mediaType": {"type": "string"},
        "filename": {"type": "string"},
    },
    "anyOf": [{"required": ["url"]}, {"required": ["raw"]}],
}
"""What `file` is: a part of a message that is a file, by its place or with its bytes."""


class Misread(NamedTuple):
    """An input whose type isn't understood."""

    name: str
    kind: str | None
    """The unknown type; None: what stands there is neither a type nor a mapping."""


def is_whole_schema(value: Mapping[str, Any]) -> bool:
    """Tell whether what stands under `input` is a JSON Schema and no short form."""
    return value.get("type") == "object" and (is_object(value.get("properties")) or len(value) == 1)


def widened(value: Mapping[str, Any]) -> tuple[dict[str, Any], list[Misread]]:
    """Turn the short form into a JSON Schema; a key is required unless it has a default or its type ends in `?`."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    misread: list[Misread] = []
    for name, given in value.items():
        if not isinstance(given, str) and not is_object(given):
            misread.append(Misread(name, None))
            continue
        schema: dict[str, Any] = {"type": given} if isinstance(given, str) else dict(given)
        optional = "default" in schema
        kind = schema.get("type")
        if isinstance(kind, str):
            optional = optional or kind.endswith("?")
            kind = kind.rstrip("?").strip()
            if kind not in TYPES:
                misread.append(Misread(name, kind))
                kind = "any"
            if kind == "any":
                del schema["type"]
            elif kind == "file":
                schema = {**schema, **_FILE}
            else:
                schema["type"] = kind
        properties[name] = schema
        if not optional:
            required.append(name)
    result: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        result["required"] = required
    return result, misread


def with_schema(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workflow's fields with `input`, the short form, as `input_schema`; raises ValueError."""
    given, rest = workflow["input"], {name: value for name, value in workflow.items() if name != "input"}
    if rest.get("input_schema") is not None:
        raise ValueError("give either input or input_schema")
    if not is_object(given):
        raise ValueError("input is a mapping of names and types; input_schema takes a JSON Schema")
    if is_whole_schema(given):
        return {**rest, "input_schema": given}
    schema, misread = widened(given)
    for name, kind in misread:
        what = f'has no known type: "{kind}"' if kind is not None else "needs a type or a mapping"
        raise ValueError(f'input "{name}" {what}; types are {", ".join(TYPES)}')
    return {**rest, "input_schema": schema}
