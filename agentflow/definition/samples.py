"""Values that a schema surely accepts, for what is printed to be pasted. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.format_samples import FORMATS
from agentflow.definition.json_schema import Fault, faults_of, make_validator
from agentflow.definition.typed_text import alternatives, resolve, types_of

TRIED = (
    "text",
    "Text",
    "TEXT",
    "a",
    "A",
    "1",
    "text-1",
    "A-1",
    "AB-12",
    "ABC-123",
    "abc_1",
    "1.0.0",
    "+15550100",
    "#000000",
)
"""Texts that are tried where a pattern is asked for."""
_DEEPEST, _MOST = 6, 40


def check(schema: object, value: object) -> list[Fault]:
    """Validate a value; [] when it fits. A schema that is broken itself accepts everything: the engine has the say."""
    if not is_object(schema) and not isinstance(schema, bool):
        return []
    try:
        validator = make_validator(schema)
    except ValueError:
        return []
    return sorted(faults_of(validator, value), key=lambda fault: len(fault.path))  # as the engine tells them


def fits(schema: object, value: object) -> bool:
    """Tell whether a schema accepts a value."""
    return not check(schema, value)


def samples(schema: object) -> Iterator[Any]:
    """Yield values that a schema accepts, the most telling first; none where none is found."""
    return (value for value in islice(candidates(schema, schema, 0), _MOST) if fits(schema, value))


def needed(schema: object, whole: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is required of an example and little else, so that it fits together with what is known."""
    filled = {**whole, **known}
    required = resolve(schema).get("required")
    names = [str(name) for name in required] if is_array(required) else []
    small = {name: filled[name] for name in names or list(filled)[:1] if name in filled}
    return small if fits(schema, {**known, **small}) else filled


def candidates(schema: object, root: object, depth: int) -> Iterator[Any]:
    """Yield values that a schema may accept, the most telling first."""
    part = resolve(schema, root)
    for key in ("default", "const"):
        if key in part:
            yield part[key]
    for key in ("examples", "enum"):
        options = part.get(key)
        yield from options if is_array(options) else ()
    if depth > _DEEPEST:
        return
    for merged in _merged(part, root):
        yield from candidates(merged, root, depth + 1)
    named = part.get("type")
    types = sorted(types_of({"type": named}), key=lambda name: name == "null") if named is not None else _guessed(part)
    for name in types:
        yield from _of_type(name, part, root, depth)


def _merged(part: Mapping[str, Any], root: object) -> Iterator[dict[str, Any]]:
    """Yield a schema with each of its alternatives, and with all that it consists of."""
    rest = {key: value for key, value in part.items() if key not in ("oneOf", "anyOf", "allOf")}
    everything = part.get("allOf")
    for one in everything if is_array(everything) else ():
        rest = both(rest, resolve(one, root))
    options = [resolve(option, root) for option in alternatives(part)]
    if options or is_array(everything):
        yield from (both(rest, option) for option in options or [{}])


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two schemas ask together, as far as a form or an example needs it."""
    merged = {**one, **other}
    for key in ("properties", "required"):
        if is_object(one.get(key)) and is_object(other.get(key)):
            merged[key] = {**one[key], **other[key]}
        elif is_array(one.get(key)) and is_array(other.get(key)):
            merged[key] = [*one[key], *other[key]]
    return merged


def _guessed(part: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema without `type` speaks of, then the others."""
    told = {
        "object": ("properties", "required", "minProperties"),
        "array": ("items", "prefixItems", "minItems"),
        "string": ("pattern", "format", "minLength", "maxLength"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
    named = [name for name, keys in told.items() if any(key in part for key in keys)]
    return named or ["null", "string", "integer", "boolean", "object", "array"]


def _of_type(name: str, part: Mapping[str, Any], root: object, depth: int) -> Iterator[Any]:
    if name == "object":
        yield from _objects(part, root, depth)
    elif name == "array":
        yield from _arrays(part, root, depth)
    elif name in ("integer", "number"):
        yield from _numbers(part, whole=name == "integer")
    elif name == "string":
        yield from _texts(part)
    elif name == "boolean":
        yield from (True, False)
    else:
        yield None


def _inside(schema: object, root: object, depth: int) -> list[Any]:
    """Return values for a place inside: those first that fit there."""
    part = resolve(schema, root)
    shared = {key: root[key] for key in ("$defs", "definitions") if key in root} if is_object(root) else {}
    found = list(islice(candidates(part, root, depth + 1), _MOST))
    return sorted(found, key=lambda value: not fits({**part, **shared}, value))


def _objects(part: Mapping[str, Any], root: object, depth: int) -> Iterator[Any]:
    properties = part.get("properties")
    required = part.get("required")
    needed = [str(name) for name in required] if is_array(required) else []
    declared: dict[str, Any] = properties if is_object(properties) else {}
    made: dict[str, Any] = {}
    for name in [*declared, *(name for name in needed if name not in declared)]:
        values = _inside(declared.get(name, {}), root, depth)
        if values:
            made[name] = values[0]
    more = part.get("additionalProperties", {})
    for number in range(1, _whole(part.get("minProperties")) + 1 if more is not False else 1):
        if len(made) >= _whole(part.get("minProperties")):
            break
        made[f"name{number}"] = next(iter(_inside(more, root, depth)), None)
    yield made
    yield {name: value for name, value in made.items() if name in needed}


def _arrays(part: Mapping[str, Any], root: object, depth: int) -> Iterator[Any]:
    first = part.get("prefixItems")
    head = [(_inside(item, root, depth) or [None])[0] for item in first] if is_array(first) else []
    items = _inside(part.get("items", {"type": "string"}), root, depth)
    least = _whole(part.get("minItems"))
    for count in dict.fromkeys((max(least, len(head), 1), max(least, len(head)))):
        more = count - len(head)
        yield [*head, *(items[:1] * more)]
        yield [*head, *items[:more]]
        yield [*head, *range(1, more + 1)]
        yield [*head, *(f"text {number}" for number in range(1, more + 1))]


def _numbers(part: Mapping[str, Any], *, whole: bool) -> Iterator[Any]:
    low, high = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum", part.get("exclusiveMaximum"))
    step = part.get("multipleOf")
    numbers: list[Any] = [low, high] if low is not None else [high]
    for number in (low if low is not None else 0, high):
        if isinstance(number, int | float):
            numbers += [number + 1, number - 1, math.ceil(number), math.floor(number)]
            if isinstance(step, int | float) and step > 0:
                numbers += [math.ceil(number / step) * step, (math.floor(number / step) + 1) * step]
    if isinstance(low, int | float) and isinstance(high, int | float):
        numbers.append((low + high) / 2)
    for number in [*(n for n in numbers if isinstance(n, int | float)), 0, 1]:
        if not whole:
            yield number
        elif float(number).is_integer():
            yield int(number)


def _texts(part: Mapping[str, Any]) -> Iterator[str]:
    told = FORMATS.get(str(part.get("format")))
    if told is not None:
        yield told
    least, most = _whole(part.get("minLength")), part.get("maxLength")
    for text in TRIED:
        longer = text if len(text) >= least else (text * (least // len(text) + 1))[:least]
        yield longer[:most] if isinstance(most, int) else longer
    yield from ("a" * least, "1" * least, "A" * least) if least else ("", "0", "12", "123", "1234", "12345", "123456")


def _whole(value: object) -> int:
    return min(value, 1000) if isinstance(value, int) and value > 0 else 0
