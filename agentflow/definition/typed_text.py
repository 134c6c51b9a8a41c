"""Reads texts as the JSON type that a schema asks for: what people type, and what agents say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    if "array" in types and not text.lstrip().startswith(("[", "{") if "object" in types else "["):
        return read_list(text, schema)
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


def given_as(text: str, schema: Mapping[str, Any]) -> Any:
    """Return what a text gives where a schema asks for something.

    Where it isn't of the type, it stays what it is, a number or a text: what is wrong with that is told in the schema's
    own words, which are the same at every door.

    Raises:
        ValueError: it is meant as JSON and is none, or can't be kept.
    """
    try:
        return read_value(text, schema)
    except UnfitError:
        raise
    except ValueError:
        if text.lstrip().startswith(("[", "{")):
            raise
        if any(name in NUMBERS for name in types_of(schema)):
            return _any_number(text)
        return text


def _any_number(text: str) -> int | float | str:
    try:
        return _number(text, whole=False)
    except ValueError:
        if any(char.isdigit() for char in text) and not math.isfinite(_float(text)):
            raise
        return text


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def read_list(text: str, schema: Mapping[str, Any]) -> list[Any]:
    """Read a list as people write one: an item a line, or on one line with commas. Quotes keep an item together.

    Raises:
        ValueError: an item is meant as JSON and is none.
    """
    return read_items(split(text), schema)


def read_items(items: Sequence[str], schema: Mapping[str, Any]) -> list[Any]:
    """Read the items of a list, each as the schema of its place asks; raises ValueError as `read_list`."""
    first, rest = schema.get("prefixItems"), resolve(schema.get("items"), schema)
    heads = [resolve(each, schema) for each in first] if is_array(first) else []
    return [given_as(item, heads[n] if n < len(heads) else rest) for n, item in enumerate(items)]


def split(text: str) -> list[str]:
    """Return the items of a list as people write one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        return lines
    if lines[0].startswith(("{", "[")):
        return lines
    import csv  # noqa: PLC0415  few texts are lists

    return [item.strip() for item in next(csv.reader(lines, skipinitialspace=True)) if item.strip()]


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
