"""A schema as a form shows it: references followed, parts put together, `null` set aside. Checks use the whole one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentflow.data import is_array, is_object
from agentflow.definition.samples import both
from agentflow.definition.typed_text import alternatives, resolve, types_of

SHARED: Final = ("$defs", "definitions")
NULLED: Final = "x-or-null"
"""Stands in a plain schema where `null` was set aside."""
HIDDEN: Final = "***"
_DEEPEST: Final = 20


def shared_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions that references inside a schema lead to."""
    return {key: schema[key] for key in SHARED if key in schema}


def plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without references, `allOf`, and alternatives of which one is left beside `null`."""
    found = dict(schema)
    for _ in range(_DEEPEST):
        step = _once(found, schema)
        if step is None:
            break
        found = step
    return found


def _once(look: dict[str, Any], root: Mapping[str, Any]) -> dict[str, Any] | None:
    if isinstance(look.get("$ref"), str):
        beside = {key: value for key, value in look.items() if key != "$ref"}
        return {**resolve({"$ref": look["$ref"]}, root), **beside}
    several = look.get("allOf")
    rules = [one for one in several if not is_object(one) or "if" in one] if is_array(several) else []
    if is_array(several) and len(rules) < len(several):
        merged = {key: value for key, value in look.items() if key != "allOf"}
        for one in several:
            if is_object(one) and "if" not in one:
                merged = both(merged, plain({**shared_of(root), **one}))
        return {**merged, **({"allOf": rules} if rules else {})}
    options = options_of(look)
    if len(options) == 1 and len(alternatives(look)) > 1:
        rest = {key: value for key, value in look.items() if key not in ("oneOf", "anyOf")}
        return {**both(options[0], rest), NULLED: True}
    return None


def options_of(look: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a schema beside `null`."""
    return [option for option in alternatives(look) if option.get("type") != "null" and option != {"const": None}]


def is_nullable(look: Mapping[str, Any]) -> bool:
    """Tell whether a value may be null."""
    return NULLED in look or "null" in types_of(look)


def is_secret(look: Mapping[str, Any]) -> bool:
    """Tell whether a value is never shown."""
    return look.get("format") == "password" or look.get("writeOnly") is True


def masked(schema: object, value: Any) -> Any:
    """Return a value without what its schema says is never shown."""
    return _masked(resolve(schema), value, 0) if is_object(schema) else value


def _masked(schema: Mapping[str, Any], value: Any, depth: int) -> Any:
    look = plain(schema)
    if is_secret(look):
        return HIDDEN
    if depth > _DEEPEST or not (is_object(value) or is_array(value)):
        return value
    shared = shared_of(schema)
    for option in options_of(look):
        value = _masked({**shared, **option}, value, depth + 1)
    if is_array(value):
        return [_masked({**shared, **resolve(look.get("items"), schema)}, each, depth + 1) for each in value]
    properties = look.get("properties")
    if not is_object(value) or not is_object(properties):
        return value
    parts = {name: {**shared, **resolve(properties[name], schema)} for name in value if name in properties}
    return {name: _masked(parts[name], each, depth + 1) if name in parts else each for name, each in value.items()}
