"""What users of clients are asked: by a form, or to go to a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agentflow.data import is_array, is_object
from agentflow.engine import Answer, Decline


@dataclass(frozen=True, slots=True)
class Request:
    """What a user is asked."""

    message: str
    form: Mapping[str, Any] | None = None
    """The form that is filled in."""
    url: str | None = None
    """The page that the user goes to, where there is no form."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The user goes to the page; what comes of that is told there."""


Reply: TypeAlias = Answer | Decline | Opened | None
"""What a user said; None: nothing."""
Asking: TypeAlias = Callable[[Request], Awaitable[Reply]]
"""Shows a request."""

_TEXTS = ("title", "description", "default")
_OF: Mapping[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "format"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
}
_FORMATS = frozenset({"email", "uri", "date", "date-time"})


def form(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the flat form that asks for an answer; None where a form can't ask for it.

    What it leaves out of the schema is checked when the answer comes.
    """
    if schema is None or schema.get("type") != "object":
        return None
    properties = schema.get("properties")
    if not is_object(properties) or not properties:
        return None
    required = [str(name) for name in schema.get("required", ())]
    fields: dict[str, Any] = {}
    for name, each in properties.items():
        made = _field(each)
        if made is not None:
            fields[name] = made
        elif name in required:
            return None
    if not fields or any(name not in fields for name in required):
        return None
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}


def _field(schema: object) -> dict[str, Any] | None:
    if not is_object(schema):
        return None
    said = {name: schema[name] for name in _TEXTS if name in schema}
    choices = schema.get("enum")
    if is_array(choices):
        if not choices or not all(isinstance(each, str) for each in choices):
            return None
        titled = [{"const": each, "title": each} for each in choices]
        return {"type": "string", **said, "enum": choices, "oneOf": titled}  # some clients read only one of the two
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _OF:
        return None
    made = {"type": kind, **said, **{name: schema[name] for name in _OF[kind] if name in schema}}
    if made.get("format") not in (None, *_FORMATS):
        del made["format"]
    return made


def plain_choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form for clients that know choices only as `enum`."""
    properties: Mapping[str, Any] = schema["properties"]
    fields = {n: {key: value for key, value in each.items() if key != "oneOf"} for n, each in properties.items()}
    return {**schema, "properties": fields}
