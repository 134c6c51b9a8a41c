"""JSON Schemas in a workflow: are they valid, do declared defaults fit, do declared types agree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.schema_words import Fault, unknown_words
from agentflow.definition.check.sites import mentions
from agentflow.definition.json_schema import errors_of, make_validator, schema_faults
from agentflow.definition.suggest import meant
from agentflow.errors import Severity
from agentflow.redaction import current

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")

_LONGEST = 200
"""Characters of a validator's message that are told."""


def check_schema(
    schema: object, spot: Spot, report: Report, *, templates: bool = False, severity: Severity = "error"
) -> bool:
    """Report what is wrong with a JSON Schema and with the defaults inside it; returns whether it can be used.

    Args:
        schema: what stands where a schema belongs.
        spot: where it stands.
        report: takes the problems.
        templates: whether defaults may hold templates; those are left alone.
        severity: of a default that doesn't fit.
    """
    found = _faults(schema)
    for path, message, label, hint in found:
        report.add("AF-SCHEMA-INVALID", message, spot.below(*path), label=label, hint=hint)
    if found:
        return False
    for path, message, label, hint in _words(json.dumps(schema)):
        report.add("AF-SCHEMA-INVALID", message, _key(spot, path), label=label, hint=hint, severity=severity)
    for path, name, value, message in _misfits(json.dumps(schema)):
        if not (templates and mentions(value)):
            what = f'the default of "{name}"' if name else "the default"
            text = f"{what} doesn't fit its schema: {message}"
            report.add("AF-SCHEMA-DEFAULT", text, spot.below(*path), severity=severity)
    return True


def schema_problems(schema: object) -> list[Fault]:
    """Return what is wrong with a JSON Schema: path, sentence, label, hint."""
    return _faults(schema) or _words(json.dumps(schema))


def _key(spot: Spot, path: tuple[str | int, ...]) -> Spot:
    return spot.below(*path)._replace(key=True)


@lru_cache(maxsize=256)
def _words(text: str) -> list[Fault]:
    return list(unknown_words(schemas_in(json.loads(text))))


def check_value(value: object, schema: Mapping[str, Any], what: str, spot: Spot, report: Report) -> None:
    """Report that a constant value doesn't fit a (valid) schema."""
    found = errors_of(make_validator(schema), value)
    if found:
        report.add("AF-SCHEMA-DEFAULT", f"{what} doesn't fit its schema: {found[0]}", spot)


def _faults(schema: object) -> list[Fault]:
    if not is_object(schema):
        return [((), f"a JSON Schema is an object, not {kind(schema)}", None, None)]
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        return [((), f"the schema isn't plain JSON: {error}", None, None)]
    return _faults_of(text)


@lru_cache(maxsize=256)
def _faults_of(text: str) -> list[Fault]:
    schema: dict[str, Any] = json.loads(text)
    faults: dict[tuple[str | int, ...], Fault] = {}
    for path, message in schema_faults(schema):
        faults.setdefault(path, (path, *_explain(schema, path, message)))
    return list(faults.values())


_Misfit = tuple[tuple[str | int, ...], str, Any, str]
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "contains", "then", "else")


@lru_cache(maxsize=256)
def _misfits(text: str) -> list[_Misfit]:
    """Return (path, property, default, what is wrong) of the defaults that don't fit the schema they stand in."""
    whole: dict[str, Any] = json.loads(text)
    shared = {key: whole[key] for key in ("$defs", "definitions") if key in whole}
    found: list[_Misfit] = []
    for path, schema in schemas_in(whole):
        if "default" not in schema:
            continue
        try:
            errors = errors_of(make_validator({**shared, **schema}), schema["default"])
        except ValueError:  # it refers to a part of the whole that it can't see from here
            continue
        if errors:
            name = str(path[-1]) if len(path) > 1 and path[-2] == "properties" else ""
            found.append(((*path, "default"), name, schema["default"], errors[0]))
    return found


def schemas_in(whole: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield a schema and the schemas inside it, each with its path, in the order of the text."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), whole)]
    while stack:
        path, schema = stack.pop()
        if not is_object(schema):
            continue
        yield path, schema
        inner: list[tuple[tuple[str | int, ...], Any]] = []
        for key, value in schema.items():
            if key in _NAMED and is_object(value):
                inner += [((*path, key, name), each) for name, each in value.items()]
            elif key in _LISTED and is_array(value):
                inner += [((*path, key, number), each) for number, each in enumerate(value)]
            elif key in _SINGLE:
                inner.append(((*path, key), value))
        stack.extend(reversed(inner))


def _explain(schema: Any, path: tuple[str | int, ...], message: str) -> tuple[str, str | None, str | None]:
    value: Any = schema
    for part in path:
        value = value[part]
    last = path[-1] if path else ""
    where = f" (at {'.'.join(map(str, path))})" if len(path) > 1 else ""
    if last == "type" and isinstance(value, str):
        return f'"{value}" is no JSON Schema type{where}', meant(value, TYPES), f"types: {', '.join(TYPES)}"
    if last in ("pattern", "patternProperties") and isinstance(value, str):
        hint = "look-around and back-references aren't supported" if "(?" in value or "\\1" in value else None
        return f'"{value}" is no valid pattern{where}', None, hint
    if "retrieving it failed" in message or "does not exist" in message:
        ref = next(_references(schema), None)
        if ref is not None and not ref.startswith("#"):
            return f'the schema refers to "{ref}"; remote schemas are never fetched', None, "copy it under `$defs`"
        return f"the schema refers to a part that doesn't exist: {current().head(message, _LONGEST)}", None, None
    if last == "required":
        return f"`required` is a list of names, not {kind(value)}{where}", None, None
    return f"the schema isn't valid{where}: {current().head(message, _LONGEST)}", None, None


def _references(schema: object) -> Iterator[str]:
    stack = [schema]
    while stack:
        value = stack.pop()
        if is_object(value):
            ref = value.get("$ref")
            if isinstance(ref, str):
                yield ref
            stack.extend(value.values())
        elif is_array(value):
            stack.extend(value)


def kind(value: object) -> str:
    """Say in plain words what sort of JSON value it is."""
    if value is None or value is True or value is False:
        return json.dumps(value)
    names: dict[type, str] = {
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        tuple: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def declared_types(schema: object) -> frozenset[str] | None:
    """Return the JSON types a schema simply declares; None where it doesn't say so simply."""
    if not is_object(schema) or any(key in schema for key in ("$ref", "anyOf", "oneOf", "allOf", "not", "if")):
        return None
    given = schema.get("type")
    types = [given] if isinstance(given, str) else given
    if types is None and is_array(schema.get("enum")):
        types = [_type_of(value) for value in schema["enum"]]
    if not is_array(types) or not all(isinstance(one, str) and one in TYPES for one in types):
        return None
    return frozenset(types)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {
        str: "string",
        int: "integer",
        float: "number",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return names.get(type(value), "")


def agree(given: frozenset[str], wanted: frozenset[str]) -> bool:
    """Tell whether a value of one declaration may fit another."""
    numbers = {"integer", "number"}
    return bool(given & wanted) or bool(given & numbers and wanted & numbers)
