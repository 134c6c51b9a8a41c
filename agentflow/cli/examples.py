"""Examples of values that a schema surely accepts, for commands that are printed to be pasted. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from agentflow.cli.shown import clean, safe_json
from agentflow.cli.values import assignments
from agentflow.data import is_array, is_object
from agentflow.definition.json_schema import Fault, faults_of, make_validator
from agentflow.definition.typed_text import alternatives, resolve, types_of
from agentflow.errors import InputError
from agentflow.steps.contract import UNSET

FORMATS: Mapping[str, str] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "P1D",
    "email": "ana@example.com",
    "idn-email": "ana@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "iri": "https://example.com/",
    "uri-reference": "/path",
    "iri-reference": "/path",
    "uri-template": "/path/{id}",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/a",
    "relative-json-pointer": "0/a",
    "regex": "a+",
}
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
PLACEHOLDER = "<JSON>"
"""What a command says where no example can be found."""
_DEEPEST, _MOST = 6, 40


def check(schema: object, value: object) -> list[Fault]:
    """Validate a value; [] when it fits. A schema that is broken itself accepts everything: the engine has the say."""
    if not is_object(schema) and not isinstance(schema, bool):
        return []
    try:
        validator = make_validator(schema)
    except ValueError:
        return []
    return faults_of(validator, value)


def fits(schema: object, value: object) -> bool:
    """Tell whether a schema accepts a value."""
    return not check(schema, value)


def example(schema: object) -> Any:
    """Return a value that a schema accepts; UNSET where none is found."""
    return next((value for value in islice(_candidates(schema, schema, 0), _MOST) if fits(schema, value)), UNSET)


def sketch(schema: object) -> Any:
    """Return an example, or where there is none something to begin with."""
    found = example(schema)
    return next(_candidates(schema, schema, 0), None) if found is UNSET else found


def answer_command(wait: str, schema: object, default: Any = UNSET) -> str:
    """Return a command line that answers a wait and is accepted, with values for what is required.

    Args:
        wait: the wait's short id.
        schema: what the answer must be.
        default: what is taken when nobody answers; `--set` changes it.
    """
    start = f"agentflow waits answer {wait}"
    value = _needed(schema, default)
    words = _sets(schema, value, default)
    if words is not None:
        return " ".join([start, *words])
    if value is UNSET or not fits(schema, value):
        return f"{start} --data '{PLACEHOLDER}'"
    return f"{start} --data {quote(safe_json(json.dumps(value, ensure_ascii=False)))}"


def _needed(schema: object, default: Any) -> Any:
    """Return an example with what is required and little else."""
    root = resolve(schema)
    if default is not UNSET and not is_object(default):
        return default
    whole = example(schema)
    required = root.get("required")
    names = [str(name) for name in required] if is_array(required) else []
    if not is_object(whole):
        return whole if default is UNSET else default
    filled = {**whole, **(default if is_object(default) else {})}
    names = names or list(filled)[:1]
    small = {name: filled[name] for name in names if name in filled}
    return small if fits(schema, {**(default if is_object(default) else {}), **small}) else filled


def _sets(schema: object, value: Any, default: Any) -> list[str] | None:
    """Return a value as `--set` options; None where those don't come to an answer that fits, or can't be shown."""
    if not is_object(value) or not value or not is_object(resolve(schema).get("properties")):
        return None
    items = [f"{name}={_plain(part)}" for name, part in value.items()]
    try:
        read = assignments(items, schema, "--set")
    except InputError:
        return None
    if read != value or not fits(schema, {**(default if is_object(default) else {}), **read}):
        return None
    words = [f"--set {quote(item)}" for item in items]
    return words if all(clean(word) == word for word in words) else None


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return f"@{value}" if value.startswith("@") else value
    return json.dumps(value, ensure_ascii=False)


def quote(text: str) -> str:
    """Quote a word for a shell where it needs it."""
    import shlex  # noqa: PLC0415  only for hints

    return shlex.quote(text)


def _candidates(schema: object, root: object, depth: int) -> Iterator[Any]:
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
        yield from _candidates(merged, root, depth + 1)
    named = part.get("type")
    types = sorted(types_of({"type": named}), key=lambda name: name == "null") if named is not None else _guessed(part)
    for name in types:
        yield from _of_type(name, part, root, depth)


def _merged(part: Mapping[str, Any], root: object) -> Iterator[dict[str, Any]]:
    """Yield a schema with each of its alternatives, and with all that it consists of."""
    rest = {key: value for key, value in part.items() if key not in ("oneOf", "anyOf", "allOf")}
    everything = part.get("allOf")
    for one in everything if is_array(everything) else ():
        rest = _both(rest, resolve(one, root))
    options = [resolve(option, root) for option in alternatives(part)]
    if options or is_array(everything):
        yield from (_both(rest, option) for option in options or [{}])


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
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
    found = list(islice(_candidates(part, root, depth + 1), _MOST))
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
    yield made
    yield {name: value for name, value in made.items() if name in needed}


def _arrays(part: Mapping[str, Any], root: object, depth: int) -> Iterator[Any]:
    first = part.get("prefixItems")
    head = [(_inside(item, root, depth) or [None])[0] for item in first] if is_array(first) else []
    items = _inside(part.get("items", {}), root, depth)
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
