"""Reads texts as the JSON type that a schema asks for: what people type, and what agents say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agentflow.data import is_array, is_object, parse
from agentflow.unfit import UnfitError

NUMBERS = ("integer", "number")


def resolve(schema: object, root: object = None) -> dict[str, Any]:
    """Follow `$ref` inside the same schema; anything that isn't an object schema is an empty one."""
    root = schema if root is None else root
    for _ in range(20):
        if not is_object(schema):
            return {}
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#"):
            return schema
        target: Any = root
        for part in ref[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if is_object(target) else None
        schema = target
    return {}


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a schema allows, as far as it says so; [] for any."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if is_array(named):
        return [str(n) for n in named]
    options = list(schema["enum"]) if is_array(schema.get("enum")) else []
    options += [schema["const"]] if "const" in schema else []
    found = dict.fromkeys(type_name(value) for value in options)
    for part in alternatives(schema):
        found.update(dict.fromkeys(types_of(part)))
    return list(found)


def alternatives(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of `oneOf` or `anyOf`."""
    parts = schema.get("oneOf") or schema.get("anyOf")
    return [part for part in parts if is_object(part)] if is_array(parts) else []


def type_name(value: object) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if is_array(value) else "object"


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a text as the JSON type that a schema asks for; without one, as JSON where it is, else as text.

    Raises:
        ValueError: it isn't of that type; the message says what it should be.
    """
    types = types_of(schema)
    if "boolean" in types and text.strip().lower() in ("true", "yes", "y", "on", "false", "no", "n", "off"):
        return text.strip().lower() in ("true", "yes", "y", "on")
    if any(name in types for name in NUMBERS):
        try:
            return _number(text, whole="number" not in types)
        except ValueError:
            if types in (["integer"], ["number"]):
                raise
    if "null" in types and text.strip() in ("", "null"):
        return None
    if "string" in types:
        return text
    if types == ["boolean"]:
        raise ValueError(f'"{text}" is neither yes nor no')
    if "object" in types or "array" in types:
        try:
            return parse(text)
        except UnfitError:
            raise
        except ValueError as error:
            raise ValueError(f"it must be JSON: {error}") from None
    if types:
        raise ValueError(f'"{text}" is no {" or ".join(types)}')
    return _guess(text)


def _number(text: str, *, whole: bool) -> int | float:
    try:
        return int(text.strip())
    except ValueError:
        pass
    try:
        number = float(text.strip())
    except ValueError:
        raise ValueError(f'"{text}" is no number') from None
    if not math.isfinite(number):
        known = any(char.isdigit() for char in text)
        raise ValueError(f"the number {shortened(text)} is out of range" if known else f'"{text}" is no number')
    if whole and not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number) if whole else number


def _guess(text: str) -> Any:
    """Read JSON where it is; NaN and the like are words."""
    try:
        value = parse(text)
    except ValueError as error:
        if isinstance(error, UnfitError) and any(char in text for char in "[{0123456789"):
            raise
        return text
    return text if isinstance(value, str) else value


def shortened(text: str) -> str:
    """Return a text as an error may quote it."""
    return text if len(text) <= 40 else text[:39] + "…"
